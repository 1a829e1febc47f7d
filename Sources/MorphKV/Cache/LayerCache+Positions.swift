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
        /// What ``movedPositions`` becomes, or what ``places`` hold; nil if the layer's keys are moved with the frame only.
        var positions: [Float]?
    }

    /// What has to be done before the sequence goes on in another frame.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func moves(from old: RotaryFrame, to new: RotaryFrame, seen: Int) -> KeyMoves {
        if let places { return placeMoves(places, from: old, to: new, seen: seen) }
        let shift = new.base - old.base
        var moves = KeyMoves(positions: movedPositions?.values())
        guard moves.positions != nil || shift != 0 else { return moves }
        // What is held elsewhere lies between the floor and the slots. Without a floor nothing is moved.
        let floor = new.floor == 0 ? nil : new.floor + origin - old.base
        var entries = EntryMoves(slots: slots, base: old.base, shift: shift)
        let held = heldPositions(seen: seen)
        held.withUnsafeBufferPointer { held in
            for head in 0..<plan.geometry.kvHeads {
                let positions = held.baseAddress! + (held.count == slots ? 0 : head * slots)
                moves.positions?.withUnsafeMutableBufferPointer { all in
                    let moved = all.baseAddress! + head * slots
                    if let floor {
                        entries.raise(head: head, positions, moved, to: floor)
                    } else {
                        entries.lower(head: head, positions, moved)
                    }
                }
                if moves.positions == nil { entries.shift(head: head, positions) }
            }
        }
        moves.rows = entries.rows
        moves.changed = entries.rows
        return moves
    }

    /// The position in each slot, -1 where it is empty: of one KV head after the other, or of one if all hold the same.
    private func heldPositions(seen: Int) -> [Float] {
        if let scores { return scores.positions.values() }
        let heads = entries(seen: seen)
        let different = chosen == nil ? 1 : heads.count
        var held = [Float](repeating: -1, count: slots * different)
        for (head, entries) in heads.prefix(different).enumerated() {
            for entry in entries { held[head * slots + entry.slot] = Float(entry.position) }
        }
        return held
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
