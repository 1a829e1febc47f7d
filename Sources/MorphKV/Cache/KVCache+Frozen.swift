internal import Ggml

/// Turning what a sequence holds into entries that never change.
extension KVCache {
    /// Everything that the sequence sees.
    ///
    /// - Throws: `GgmlError` of kind `memory`.
    func frozenCopy() throws -> FrozenCache {
        let layers = try parts.indices.map(frozenCopy)
        try backend.check()
        return FrozenCache(
            layers: layers, tokens: seen, streaming: context?.streaming, recurrent: recurrent?.copy())
    }

    /// Moves everything into entries that never change, one layer after the other; the slots become few and empty, except
    /// in layers of constant size, which stay as they are.
    func freeze() throws -> FrozenCache {
        let frozen = try parts.indices.map { index in
            let entries = try frozenCopy(of: index)
            if parts[index][0].plan.slots == nil { try empty(index) }
            return entries
        }
        try backend.check()
        return FrozenCache(
            layers: frozen, tokens: seen, streaming: context?.streaming, recurrent: recurrent?.copy())
    }

    /// Lets the layers that were emptied go on from entries of the sequence's own.
    func follow(_ frozen: FrozenCache) {
        for (layer, entries) in zip(layers, frozen.layers) where layer.plan.slots == nil {
            layer.follow(entries, next: seen)
        }
    }

    private func frozenCopy(of index: Int) throws -> FrozenLayer {
        let main = parts[index][0]
        let plan = main.plan
        var sources: [(rows: EntryRows, chosen: [[EntryRows.Entry]])] = []
        let heads = plan.modelHeads
        var seenBefore = (0..<heads).map { _ in [EntryRows.Entry]() }
        for layer in parts[index] {
            var chosen = (0..<heads).map { _ in [EntryRows.Entry]() }
            var starts = (0..<heads).map { _ in 0 }
            for (head, entries) in layer.entries(seen: seen).enumerated() {
                let number = layer.plan.heads?[head] ?? head
                starts[number] = head * layer.slots
                chosen[number] = entries.map { EntryRows.Entry(row: $0.slot, position: $0.position) }
                seenBefore[number] = layer.visibleFrozen(head, seen: seen)
            }
            sources.append((try layer.hostRows(starts: starts), chosen))
        }
        if let frozen = main.frozen { sources.insert((frozen.rows, seenBefore), at: 0) }
        let layout = FrozenLayer.Layout(
            counts: (0..<heads).map { head in sources.reduce(0) { $0 + $1.chosen[head].count } },
            keyType: plan.keyType, valueType: plan.valueType, dimension: plan.geometry.headDimension)
        return try FrozenLayer(layout, from: sources)
    }
}
