internal import Ggml

/// Moving entries between a layer's slots and the scratch memory of a prompt.
extension LayerCache {
    /// Copies the entries that the slots hold to the front of the scratch memory.
    func load(
        _ entries: [[(slot: Int, position: Int)]], into scratch: PrefillScratch, of total: Int, _ prefill: Prefill
    ) throws {
        let count = entries[0].count
        let graph = try Graph(on: prefill.backend, capacity: 24, allocator: prefill.allocator)
        let slots = graph.input(.i32, [count, entries.count], name: "slots")
        let asRows = graph.contiguous(graph.permute(values, [1, 0, 2, 3]))  // [headDim, slots, kvHeads]
        graph.schedule(graph.copy(graph.rows(keys, at: slots), to: scratch.keys(0..<count, of: total, in: graph)))
        graph.schedule(graph.copy(graph.rows(asRows, at: slots), to: scratch.values(0..<count, of: total, in: graph)))
        try graph.allocate()
        slots.write(entries.flatMap { $0.map { Int32($0.slot) } })
        try graph.compute()
    }

    /// Lets the policy choose among all entries in the scratch memory and puts those that stay into the slots.
    func select(
        entries: Int, newTokens: Int, old: [[(slot: Int, position: Int)]], scratch: PrefillScratch, _ prefill: Prefill
    ) throws {
        let seen = prefill.cache.seen + newTokens
        let positions = old.map { $0.map(\.position) + Array(seen - newTokens..<seen) }
        guard let scores, let scoring = plan.scoring else {
            try storePositional(positions[0], seen: seen, scratch: scratch, prefill)
            return
        }
        let total = try WindowScores(
            backend: prefill.backend, allocator: prefill.allocator, cache: self, scores: scores, rule: scoring,
            scale: prefill.model.description.attentionScale,
            keys: { scratch.keys(0..<entries, of: entries, in: $0) }, positions: positions, seen: seen,
            newTokens: newTokens
        ).compute()
        let selection = Selection(rule: scoring, nextPosition: seen)
        // One slot stays free for the next token, as if it had been appended before the cut.
        let count = entries < scoring.capacity ? entries : scoring.capacity - 1
        let kept = positions.indices.map { head in
            selection.keep(count, positions: positions[head], scores: total[head * entries..<(head + 1) * entries])
        }
        try store(kept, at: Array(0..<count), of: entries, scratch: scratch, prefill)
        var slotPositions = [Float](repeating: -1, count: slots * kept.count)
        var slotScores = [Float](repeating: 0, count: slots * kept.count)
        for (head, indices) in kept.enumerated() {
            for (slot, entry) in indices.enumerated() {
                slotPositions[head * slots + slot] = Float(positions[head][entry])
                slotScores[head * slots + slot] = total[head * entries + entry]
            }
        }
        scores.positions.write(slotPositions)
        scores.expiring.write(slotScores)
        scores.fresh.fill(byte: 0)
        used = count
        queriesSinceHandOver = 0
    }

    /// Keeps what a rule keeps that depends on positions only, each entry in its slot.
    private func storePositional(_ positions: [Int], seen: Int, scratch: PrefillScratch, _ prefill: Prefill) throws {
        used = min(seen, slots)
        let entryOf = Dictionary(uniqueKeysWithValues: positions.enumerated().map { ($1, $0) })
        let kept = self.entries(seen: seen)[0]
        let order = kept.sorted { $0.slot < $1.slot }
        let indices = order.map { entryOf[$0.position]! }
        let heads = plan.geometry.kvHeads
        try store(
            Array(repeating: indices, count: heads), at: order.map(\.slot), of: positions.count, scratch: scratch,
            prefill)
    }

    /// Copies chosen entries, per KV head, into slots 0, 1, ...
    private func store(
        _ kept: [[Int]], at slots: [Int], of entries: Int, scratch: PrefillScratch, _ prefill: Prefill
    ) throws {
        precondition(slots == Array(0..<slots.count), "kept entries fill the slots from the front")
        guard !slots.isEmpty else { return }
        let g = plan.geometry
        let graph = try Graph(on: prefill.backend, capacity: 24, allocator: prefill.allocator)
        let indices = graph.input(.i32, [slots.count, g.kvHeads], name: "kept")
        let keptKeys = graph.rows(scratch.keys(0..<entries, of: entries, in: graph), at: indices)
        let keptValues = graph.rows(scratch.values(0..<entries, of: entries, in: graph), at: indices)
        let keyTarget = graph.view(
            keys, [g.headDimension, slots.count, g.kvHeads], strides: Array(keys.strides[1...2]))
        let valueTarget = graph.view(
            values, [slots.count, g.headDimension, g.kvHeads], strides: Array(values.strides[1...2]))
        graph.schedule(graph.copy(keptKeys, to: keyTarget))
        graph.schedule(graph.copy(graph.permute(keptValues, [1, 0, 2, 3]), to: valueTarget))
        try graph.allocate()
        indices.write(kept.flatMap { $0.map(Int32.init) })
        try graph.compute()
    }
}
