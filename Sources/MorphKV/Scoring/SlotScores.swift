internal import CAttention
internal import Ggml

/// What a scoring rule keeps beside a layer's keys and values: the position in each slot, and its formula's state.
struct SlotScores {
    let rule: ScoringRule
    let shape: SlotShape
    /// The position in each slot, -1 where it is empty: f32 `[slots, kvHeads]`.
    let positions: Tensor
    /// What the rule's formula keeps.
    let state: any ScoringState
    /// 1 for slots whose entries are pinned, else 0; what it says of empty ones does not matter: `[slots, kvHeads]`. Nil
    /// where nobody needs it. Follows from the positions, so it is not saved.
    let pinned: Tensor?

    /// - Parameter marksPins: whether there is to be a tensor that says which slots' entries are pinned.
    init(_ rule: ScoringRule, _ shape: SlotShape, marksPins: Bool, in arena: Arena) {
        self.rule = rule
        self.shape = shape
        positions = shape.tensor("positions", in: arena)
        state = rule.accumulation.formula.makeState(rule, shape, in: arena)
        pinned = marksPins ? shape.tensor("pinned", in: arena) : nil
    }

    /// All tensors, by name.
    var tensors: [(name: String, tensor: Tensor)] { [("positions", positions)] + state.tensors }

    func clear() {
        positions.write([Float](repeating: -1, count: positions.count))
        state.clear()
        pinned?.fill(byte: 0)
    }

    /// Marks the slots whose entries are pinned.
    func mark(_ pins: PinnedPositions) {
        guard let pinned else { return }
        let held: [Float] = positions.values()
        pinned.write(held.map { pins.contains(Int($0)) ? Float(1) : 0 })
    }

    /// For each KV head, the filled slots in the order of the positions they hold.
    func entries() -> SlotEntries {
        let all: [Float] = positions.values()
        return (0..<shape.kvHeads).map { head in
            (0..<shape.slots).filter { all[head * shape.slots + $0] >= 0 }
                .map { (slot: $0, position: Int(all[head * shape.slots + $0])) }
                .sorted { $0.position < $1.position }
        }
    }

    /// Makes entry `kept[head][i]` of a table the content of slot i.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        positions.write(shape.scatter(kept, otherwise: -1) { Float(table.positions[$0][$1]) })
        state.store(kept, of: table, seen: seen)
    }

    /// Brings scores that depend on keys up to date when some were moved.
    func keysMoved(_ move: KeyMove) throws {
        try state.keysMoved(move) {
            let held: [Float] = positions.values()
            return (0..<shape.kvHeads).map { head in
                held[head * shape.slots..<(head + 1) * shape.slots].map { Int($0) }
            }
        }
    }

    /// Empties all slots but those of chosen entries, which stay where they are.
    ///
    /// - Parameters:
    ///   - count: how many entries stay per KV head.
    ///   - seen: tokens that the sequence has so far.
    ///   - origin: the first position that went to the slots.
    ///   - promptEnd: the position after the sequence's first prompt.
    ///   - pins: positions that stay.
    ///   - sight: the first position that the next token sees.
    func keepInPlace(_ count: Int, seen: Int, origin: Int, promptEnd: Int, pins: PinnedPositions, sight: Int) {
        let held = entries()
        let kept = state.table(held, seen: seen, origin: origin)
            .keep(count, rule: rule, by: state, next: seen, promptEnd: promptEnd, pins: pins, sight: sight)
        var left = [Float](repeating: -1, count: positions.count)
        for (head, indices) in kept.enumerated() {
            for entry in indices.map({ held[head][$0] }) {
                left[head * shape.slots + entry.slot] = Float(entry.position)
            }
        }
        positions.write(left)
    }

    /// Writes positions as if the first `tokens` slots of every head held `origin`, `origin` + 1, ...
    func pretendFilled(_ tokens: Int, from origin: Int) {
        let head = (0..<shape.slots).map { Float($0 < tokens ? origin + $0 : -1) }
        positions.write(Array(repeating: head, count: shape.kvHeads).flatMap { $0 })
    }

    /// Describes the rule to the fused kernel.
    ///
    /// - Parameter reader: 0 for the layer itself, else the number of a block that attends to its entries.
    func describe(in cache: inout attention_cache, reader: Int) {
        cache.slots.positions = positions.hostFloats
        cache.slots.has_gaps = rule.isBursty
        cache.score.window = Int32(rule.window)
        cache.score.sinks = Int32(rule.sinks)
        cache.score.group_reduction = rule.groupReduction.kernelReduction
        cache.score.shares_choice = rule.sharesChoice
        cache.score.prompt_floor = Int32(rule.promptFloor)
        state.describe(in: &cache.score)
        if reader > 0 { state.describe(reader: reader, in: &cache.score) }
    }
}

extension ScoringRule.GroupReduction {
    /// What the kernels call it.
    var kernelReduction: attention_reduction { self == .max ? ATTENTION_MAX : ATTENTION_SUM }
}
