internal import Ggml

/// Moving entries between a layer's slots and the scratch memory of a prompt.
extension LayerCache {
    /// Copies the entries that the slots hold to the front of the scratch memory.
    func load(
        _ entries: SlotEntries, into scratch: PrefillScratch, of total: Int, _ prefill: Prefill
    ) throws {
        let count = entries[0].count
        let graph = try Graph(on: prefill.backend.at(plan.geometry.layer), capacity: 24, allocator: prefill.allocator)
        let slots = graph.input(.i32, [count, entries.count], name: "slots")
        let asRows = plan.storesRows ? values : graph.contiguous(graph.permute(values, [1, 0, 2, 3]))
        graph.schedule(graph.copy(graph.rows(keys, at: slots), to: scratch.keys(0..<count, of: total, in: graph)))
        graph.schedule(graph.copy(graph.rows(asRows, at: slots), to: scratch.values(0..<count, of: total, in: graph)))
        try graph.allocate()
        slots.write(entries.flatMap { $0.map { Int32($0.slot) } })
        try graph.compute()
    }

    /// Lets the policy choose among all entries in the scratch memory and puts those that stay into the slots.
    ///
    /// - Parameters:
    ///   - table: positions and scores of all entries of the cache's KV heads.
    ///   - old: the entries from before the prompt, per KV head, which come first in the table.
    ///   - seen: tokens of the sequence with the prompt.
    func select(
        _ table: ScoreTable, after old: SlotEntries, seen: Int, scratch: PrefillScratch, _ prefill: Prefill
    ) throws {
        let entries = table.positions[0].count
        if let scores {
            // One slot stays free for the next token, as if it had been appended before the cut.
            let count = entries < slots ? entries : scores.rule.capacity - 1
            let kept = table.keep(
                count, rule: scores.rule, by: scores.state, next: seen, promptEnd: promptEnd,
                pins: pinsInSight(at: seen), sight: sight(at: seen))
            try store(kept, of: entries, after: old, scratch: scratch, prefill)
            scores.store(kept, of: table, seen: seen)
            scores.mark(pins)
            cut(to: count)
        } else if case .once(let rule) = plan.rule, prefill.isFirstPrompt {
            let kept = rule.choice(table[0], in: plan.geometry)
            if rule.alpha != nil, rule.cuts(entries) {
                let chosen = kept.enumerated().map { head, rows in
                    rows.map { EntryRows.Entry(row: $0, position: table.positions[head][$0]) }
                }
                let layout = FrozenLayer.Layout(
                    counts: kept.map(\.count), keyType: plan.keyType, valueType: plan.valueType,
                    dimension: plan.geometry.headDimension)
                follow(try FrozenLayer(layout, from: [(scratch.rows(of: entries), chosen)]), next: seen)
                return
            }
            try store(kept, of: entries, after: old, scratch: scratch, prefill)
            cut(to: zip(table.positions, kept).map { positions, kept in kept.map { positions[$0] } }, before: seen)
        } else {
            try storePositional(table.positions[0], after: old, seen: seen, scratch: scratch, prefill)
        }
    }

    /// Keeps what a rule keeps that depends on positions only, each entry in its slot.
    private func storePositional(
        _ positions: [Int], after old: SlotEntries, seen: Int, scratch: PrefillScratch, _ prefill: Prefill
    ) throws {
        let heads = plan.geometry.kvHeads
        let order: [Int]
        if case .recent = plan.rule {
            let entryOf = Dictionary(uniqueKeysWithValues: positions.enumerated().map { ($1, $0) })
            order = entries(seen: seen)[0].sorted { $0.slot < $1.slot }.map { entryOf[$0.position]! }
        } else {
            order = Array(positions.indices)
        }
        try store(
            Array(repeating: order, count: heads), of: positions.count, after: old, scratch: scratch, prefill)
        cut(to: order.count)
    }

    /// Copies chosen entries, per KV head, into slots 0, 1, ...
    private func store(
        _ kept: [[Int]], of entries: Int, after old: SlotEntries, scratch: PrefillScratch, _ prefill: Prefill
    ) throws {
        let count = kept[0].count
        keepMovedPositions(kept, after: old)
        let graph = try Graph(
            on: prefill.backend.at(plan.geometry.layer), capacity: 24 + 16 * kept.count, allocator: prefill.allocator)
        let indices = graph.input(.i32, [count, 1, kept.count], name: "kept")
        let (allKeys, allValues) = (
            scratch.keys(0..<entries, of: entries, in: graph), scratch.values(0..<entries, of: entries, in: graph)
        )
        let (keys, values) = (firstKeys(count, in: graph), firstValues(count, in: graph))
        func copy(_ from: (Tensor) -> Tensor, _ to: (Tensor) -> Tensor) {
            let chosen = to(indices)
            let rows = graph.reshape(chosen, [count, chosen[2]])
            let keptValues = graph.rows(from(allValues), at: rows)
            graph.schedule(graph.copy(graph.rows(from(allKeys), at: rows), to: to(keys)))
            let asStored = plan.storesRows ? keptValues : graph.permute(keptValues, [1, 0, 2, 3])
            graph.schedule(graph.copy(asStored, to: to(values)))
        }
        if let heads = plan.heads {
            for (own, number) in heads.enumerated() {
                copy({ graph.head(number, of: $0) }, { graph.head(own, of: $0) })
            }
        } else {
            copy({ $0 }, { $0 })
        }
        try graph.allocate()
        indices.write(kept.flatMap { $0.map(Int32.init) })
        try graph.compute()
    }
}

extension Graph {
    /// What belongs to one head of `[a, b, heads]`: `[a, b, 1]`.
    fileprivate func head(_ index: Int, of tensor: Tensor) -> Tensor {
        view(
            tensor, [tensor[0], tensor[1], 1], strides: Array(tensor.strides[1...2]),
            offset: index * tensor.strides[2])
    }
}
