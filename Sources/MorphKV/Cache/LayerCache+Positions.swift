internal import CAttention
internal import Ggml

/// Where a layer's keys are rotated to; see ``PositionFloor``.
extension LayerCache {
    /// What moving the keys of a layer comes to. Rows are those of ``keys``, all heads' one after the other.
    struct KeyMoves {
        /// The rows that turn, ascending by head; in each head those of the oldest entries, in their order, come first.
        var rows: [attention_turn] = []
        /// The rows of which queries see something else afterwards: those that turn, and those whose frame moves.
        var changed: [attention_turn] = []
    }

    /// Notes that the sequence goes on in another frame, and says what has to be done for it.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func moveEntries(from old: RotaryFrame, to new: RotaryFrame, seen: Int) -> KeyMoves {
        if let places { return placeMoves(places, from: old, to: new, seen: seen) }
        let shift = new.base - old.base
        guard movedPositions != nil || shift != 0 else { return KeyMoves() }
        let rows = withHeldPositions(seen: seen) { held in
            let moves = EntryMoves(
                slots: slots, kvHeads: plan.geometry.kvHeads, base: old.base, shift: shift, held: held)
            guard let movedPositions else { return moves.shifted() }
            return movedPositions.update { moved in
                // What is held elsewhere lies between the floor and the slots. Without a floor nothing is moved.
                new.floor == 0 ? moves.lower(moved) : moves.raise(moved, to: new.floor + origin - old.base)
            }
        }
        return KeyMoves(rows: rows, changed: rows)
    }

    /// Calls a closure with the position in each slot, -1 where it is empty: of one KV head after the other, or of one if
    /// all hold the same.
    private func withHeldPositions<Result>(seen: Int, _ body: (UnsafeBufferPointer<Float>) -> Result) -> Result {
        if let scores { return scores.positions.withFloats(body) }
        let heads = entries(seen: seen)
        let different = chosen == nil ? 1 : heads.count
        var held = [Float](repeating: -1, count: slots * different)
        for (head, entries) in heads.prefix(different).enumerated() {
            for entry in entries { held[head * slots + entry.slot] = Float(entry.position) }
        }
        return held.withUnsafeBufferPointer(body)
    }

    /// Lets the entries that a prompt left keep the positions that they were moved to.
    ///
    /// - Parameters:
    ///   - kept: which entries go to slots 0, 1, ..., per KV head.
    ///   - old: those from before the prompt, which come first.
    func keepMovedPositions(_ kept: [[Int]], after old: SlotEntries) {
        guard let movedPositions else { return }
        let moved = shape.gather(movedPositions.values(), old)
        movedPositions.write(shape.scatter(kept, otherwise: 0) { $1 < moved[$0].count ? moved[$0][$1] : 0 })
    }
}
