internal import CAttention

/// Works out which of a layer's keys turn in place when the sequence goes on in another frame.
struct EntryMoves {
    /// Slots per KV head.
    let slots: Int
    let kvHeads: Int
    /// Positions are counted from here,
    let base: Int
    /// and from so much farther afterwards.
    let shift: Int
    /// The position in each slot, -1 where it is empty: of one KV head after the other, or of one if all hold the same.
    let held: UnsafeBufferPointer<Float>

    /// The rows that turn where entries are never moved up.
    func shifted() -> [attention_turn] {
        turns { _, _ in -shift }
    }

    /// The rows that turn when entries go back to their own positions, so that none is moved any more.
    ///
    /// - Parameter moved: see ``LayerCache/movedPositions``.
    func lower(_ moved: UnsafeMutablePointer<Float>) -> [attention_turn] {
        defer { moved.update(repeating: 0, count: slots * kvHeads) }
        return turns { row, position in
            let own = position - base
            return own - shift - max(own, Int(moved[row]))
        }
    }

    /// The rows that turn when each head's oldest entries are moved up, entry r to floor + r, until one is there already.
    ///
    /// - Parameters:
    ///   - moved: see ``LayerCache/movedPositions``.
    ///   - floor: counted from the base as it was.
    func raise(_ moved: UnsafeMutablePointer<Float>, to floor: Int) -> [attention_turn] {
        var raising = attention_raising(
            heads: Int32(kvHeads), count: Int32(slots), base: Int32(base), shift: Int32(shift), floor: Int32(floor),
            held: held.baseAddress, shares_positions: held.count == slots, moved: moved)
        return Array(unsafeUninitializedCapacity: slots * kvHeads) { turns, count in
            withUnsafeTemporaryAllocation(byteCount: attention_raising_room(Int32(slots)), alignment: 8) { room in
                count = Int(attention_raise(&raising, room.baseAddress, turns.baseAddress))
            }
        }
    }

    /// The rows of entries that turn, by a number of positions for each row and the position that it holds.
    private func turns(_ distance: (_ row: Int, _ position: Int) -> Int) -> [attention_turn] {
        var rows: [attention_turn] = []
        for row in 0..<slots * kvHeads {
            let position = held[held.count == slots ? row % slots : row]
            guard position >= 0 else { continue }
            let turn = distance(row, Int(position))
            if turn != 0 { rows.append(attention_turn(row: Int32(row), distance: Int32(clamping: turn))) }
        }
        return rows
    }
}
