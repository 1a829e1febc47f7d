internal import Ggml

/// For each KV head, the filled slots in the order of the positions they hold.
typealias SlotEntries = [[(slot: Int, position: Int)]]

/// The shape of a layer's slots, and moving one float per slot between a tensor and the entries that slots hold.
struct SlotShape {
    let geometry: LayerGeometry
    /// Slots per KV head.
    let slots: Int
    /// Whether the fused kernel attends to them, in the host's memory.
    let isFused: Bool
    /// Sequences whose slots lie behind each other; ``geometry`` counts the heads of all of them.
    var sequences = 1

    /// KV heads of one sequence.
    var ownHeads: Int { kvHeads / sequences }

    var kvHeads: Int { geometry.kvHeads }

    /// A tensor of one float per slot, `[slots, kvHeads]`.
    func tensor(_ name: String, in arena: Arena) -> Tensor { arena.tensor(.f32, [slots, kvHeads], name: name) }

    /// The values of entries: `[kvHead][entry]`.
    ///
    /// - Parameter values: `[kvHead][slot]`, flat.
    func gather(_ values: [Float], _ entries: SlotEntries) -> [[Float]] {
        entries.enumerated().map { head, held in held.map { values[head * slots + $0.slot] } }
    }

    /// Puts values of chosen entries into slots 0, 1, ...: `[kvHead][slot]`, flat.
    ///
    /// - Parameters:
    ///   - kept: indices of entries, per KV head.
    ///   - empty: what the other slots get.
    ///   - value: the value of an entry of a KV head.
    func scatter(_ kept: [[Int]], otherwise empty: Float, _ value: (Int, Int) -> Float) -> [Float] {
        var values = [Float](repeating: empty, count: slots * kept.count)
        for (head, indices) in kept.enumerated() {
            for (slot, entry) in indices.enumerated() { values[head * slots + slot] = value(head, entry) }
        }
        return values
    }
}
