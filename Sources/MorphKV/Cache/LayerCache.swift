internal import Ggml

/// The slots of one layer: keys, values and what the policy needs to choose a victim.
///
/// Slots are in no particular order. Not Sendable: one engine writes to it.
final class LayerCache {
    let plan: LayerPlan
    /// Slots per KV head.
    let slots: Int
    /// The shape of what there is a number of for each slot.
    let shape: SlotShape
    /// `[headDim, slots, kvHeads]`
    let keys: Tensor
    /// `[headDim, slots, kvHeads]`, or `[slots, headDim, kvHeads]`; see ``LayerPlan/storesRows``.
    let values: Tensor
    /// What a scoring rule keeps; nil for rules that depend on positions only.
    let scores: SlotScores?
    /// For entries whose keys were moved, the position that they were moved to; at most the entry's own for all others.
    /// f32 `[slots, kvHeads]`, nil if keys are never moved, or to ``places``.
    let movedPositions: Tensor?
    /// Where keys that were moved stand in a frame of their own.
    let places: KeyPlaces?
    /// The layer as the fused kernel sees it; nil if graphs attend to it, and before it is allocated.
    private(set) var kernelView: KernelView?
    private let scale: Float
    let arena: Arena
    /// Bytes that ``allocate(on:)`` takes, known before it is called.
    private(set) var plannedBytes = 0
    /// Filled slots per KV head.
    private(set) var used = 0
    /// Where the slots are not in the order of the positions and no scores are kept: the positions that were chosen
    /// among those before `chosen.before`, per KV head. Later positions follow one by one.
    private(set) var chosen: (positions: [[Int]], before: Int)?
    /// Entries that are seen besides the slots; they hold the positions before ``origin``.
    private(set) var frozen: FrozenLayer?
    /// The most entries that one of the cache's KV heads has besides the slots.
    private(set) var frozenMost = 0
    /// The first position that goes to the slots.
    private(set) var origin = 0
    /// The position after the sequence's first prompt, of which the rule may keep a share; 0 before it was read.
    private(set) var promptEnd = 0
    /// The sequence's pins.
    private(set) var pins = PinnedPositions()

    /// Describes the layer without allocating it.
    ///
    /// - Parameters:
    ///   - scale: what attention scores are multiplied by before the softmax.
    ///   - sequences: for how many sequences, whose heads lie behind each other.
    init(_ plan: LayerPlan, slots: Int, scale: Float, sequences: Int = 1) throws {
        let plan = sequences == 1 ? plan : plan.repeated(sequences)
        let g = plan.geometry
        let arena = try Arena(tensors: 14)
        let rows = [g.headDimension, slots, g.kvHeads]
        let transposed = [slots, g.headDimension, g.kvHeads]
        self.arena = arena
        self.plan = plan
        self.slots = slots
        shape = SlotShape(geometry: g, slots: slots, isFused: plan.isFused, sequences: sequences)
        self.scale = scale
        keys = arena.tensor(plan.keyType.elementType, rows, name: "keys")
        values = arena.tensor(plan.valueType.elementType, plan.storesRows ? rows : transposed, name: "values")
        if let scoring = plan.scoring {
            scores = SlotScores(scoring, shape, marksPins: plan.marksPins, in: arena)
        } else {
            scores = nil
        }
        if let turn = plan.queryTurn { places = KeyPlaces(turn, shape, in: arena) } else { places = nil }
        movedPositions = plan.floor == nil || places != nil ? nil : shape.tensor("movedPositions", in: arena)
    }

    var allocatedBytes: Int { arena.allocatedBytes }

    /// All tensors, by name.
    var tensors: [(name: String, tensor: Tensor)] {
        [("keys", keys), ("values", values)] + (scores?.tensors ?? [])
    }

    func plan(on backend: Backend) { plannedBytes = arena.plannedBytes(on: backend) }

    func allocate(on backend: Backend) throws {
        plan(on: backend)
        try arena.allocate(on: backend)
        if plan.isFused { kernelView = KernelView(self, scale: scale) }
        clear()
    }

    /// Empties every slot.
    func clear() {
        used = 0
        promptEnd = 0
        chosen = nil
        if frozen == nil { origin = 0 }
        keys.fill(byte: 0)
        values.fill(byte: 0)
        scores?.clear()
        movedPositions?.fill(byte: 0)
        places?.clear()
    }

    // MARK: Transitions

    /// Notes that tokens were decoded.
    func admit(_ tokens: Int) {
        used = min(used + tokens, slots)
        scores?.state.advance(by: tokens)
    }

    /// Notes that the sequence's first prompt, or what is read of it now, ends before a position.
    func endPrompt(at position: Int) { promptEnd = position }

    /// Lets positions be pinned in place of those that were.
    func setPins(_ pins: PinnedPositions) {
        self.pins = pins
        scores?.mark(pins)
    }

    /// Notes a choice among many entries: so many slots of each KV head are filled now.
    func cut(to count: Int) { used = count }

    /// Notes a choice that was made once: entry i of each KV head is in slot i.
    func cut(to positions: [[Int]], before next: Int) {
        chosen = (positions, next)
        used = positions[0].count
    }

    /// Makes room when a rule that drops many entries at a time is due: the evicted slots become empty in place.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func evictBurst(seen: Int) {
        guard let scores, scores.rule.isBursty, used == slots else { return }
        let count = scores.rule.capacity - 1
        scores.keepInPlace(
            count, seen: seen, origin: origin, promptEnd: promptEnd, pins: pinsInSight(at: seen),
            sight: sight(at: seen))
        cut(to: count)
    }

    /// Goes on from what was saved, or from what the host knows about the slots of a smaller layer.
    func restore(used: Int, chosen: (positions: [[Int]], before: Int)?) {
        self.used = used
        self.chosen = chosen
    }

    /// Lets the slots follow entries that are held elsewhere, nil for none; the slots become empty.
    ///
    /// - Parameter next: the position of the next token.
    func follow(_ frozen: FrozenLayer?, next: Int) {
        self.frozen = frozen
        let counts = frozen?.layout.counts ?? []
        frozenMost = (plan.heads.map { $0.map { counts.isEmpty ? 0 : counts[$0] } } ?? counts).max() ?? 0
        origin = next
        clear()
        if plan.isFused { kernelView = KernelView(self, scale: scale) }
    }

    /// Makes the layer look as if it held so many tokens, for measuring what the largest steps need.
    func pretendFilled(_ tokens: Int) {
        used = min(slots, tokens)
        scores?.pretendFilled(tokens, from: origin)
    }

    // MARK: Slots

    /// The slot that the token at `position` goes to, under rules that depend on positions only.
    func slot(of position: Int) -> Int {
        guard case .recent(let slots, let sinks) = plan.rule else { return used }
        let age = position - origin
        return age < slots ? age : sinks + (age - sinks) % (slots - sinks)
    }

    /// Keys of the first `count` slots: `[headDim, count, kvHeads]`.
    func firstKeys(_ count: Int, in graph: Graph) -> Tensor {
        graph.view(keys, [keys[0], count, keys[2]], strides: Array(keys.strides[1...2]))
    }

    /// Values of the first `count` slots, as they are stored.
    func firstValues(_ count: Int, in graph: Graph) -> Tensor {
        let shape = plan.storesRows ? [values[0], count, values[2]] : [count, values[1], values[2]]
        return graph.view(values, shape, strides: Array(values.strides[1...2]))
    }

    /// The rows of the slots, for the host: where they lie, or a copy of what the device holds.
    ///
    /// - Parameter starts: see ``EntryRows/starts``.
    /// - Throws: `GgmlError` of kind `memory`.
    func hostRows(starts: [Int]) throws -> EntryRows {
        if plan.isFused {
            return EntryRows(
                keys: UnsafeRawPointer(keys.hostAddress), values: UnsafeRawPointer(values.hostAddress), starts: starts)
        }
        let layout: SavedLayout = plan.storesRows ? .same : .transposed
        return EntryRows(
            keys: try HostBlock(keys.values()), values: try HostBlock(layout.encode(values)), starts: starts)
    }

    /// The positions that each of the cache's KV heads sees, ascending.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func positions(seen: Int) -> [[Int]] {
        let live = entries(seen: seen).map { $0.map(\.position) }
        guard frozen != nil else { return live }
        return live.enumerated().map { head, positions in
            visibleFrozen(head, seen: seen).map(\.position) + positions
        }
    }

    /// The entries besides the slots that one of the cache's KV heads sees.
    func visibleFrozen(_ head: Int, seen: Int) -> [EntryRows.Entry] {
        guard let frozen else { return [] }
        let first = plan.geometry.slidingWindow.map { seen - $0 } ?? 0
        return frozen.headPositions[plan.heads?[head] ?? head].enumerated()
            .filter { $1 >= first || $1 < plan.visibleSinks }
            .map { EntryRows.Entry(row: $0, position: $1) }
    }

    /// The first position that the next token sees.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func sight(at seen: Int) -> Int {
        plan.geometry.slidingWindow.map { max(0, seen + 1 - $0) } ?? 0
    }

    /// For each KV head, the filled slots in the order of the positions they hold.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func entries(seen: Int) -> SlotEntries {
        if let scores { return scores.entries() }
        if let chosen {
            return chosen.positions.map { kept in
                (kept + Array(chosen.before..<seen)).enumerated().map { (slot: $0, position: $1) }
            }
        }
        let sorted = recentPositions(seen: seen).map { position in
            if case .recent = plan.rule { return (slot: slot(of: position), position: position) }
            return (slot: position - origin, position: position)
        }
        return Array(repeating: sorted, count: plan.geometry.kvHeads)
    }

    private func recentPositions(seen: Int) -> [Int] {
        guard case .recent(let slots, let sinks) = plan.rule, seen - origin > slots else {
            return Array(origin..<max(origin, seen))
        }
        return Array(origin..<origin + sinks) + Array(seen - (slots - sinks)..<seen)
    }
}
