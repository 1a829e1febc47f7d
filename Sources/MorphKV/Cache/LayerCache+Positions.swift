internal import Ggml

/// Where a layer's keys are rotated to; see ``PositionFloor``.
extension LayerCache {
    /// What moving the keys of a layer comes to.
    struct KeyMoves {
        /// The rows of ``keys``, all heads' one after the other, that turn, and by how many positions.
        var rows: [(row: Int, distance: Int)] = []
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
        if moves.positions == nil, shift == 0 { return moves }
        for (head, entries) in entries(seen: seen).enumerated() {
            let rows = entries.map { head * slots + $0.slot }
            let own = zip(entries, rows).map { entry, row in
                max(entry.position - old.base, moves.positions.map { Int($0[row]) } ?? .min)
            }
            // What is held elsewhere lies between the floor and the slots. Without a floor nothing is moved.
            let moved =
                moves.positions == nil
                ? []
                : new.floor == 0
                    ? entries.map { $0.position - old.base }
                    : PositionFloor.moved(own, to: new.floor + origin - old.base)
            for (index, row) in rows.enumerated() {
                let target = index < moved.count ? moved[index] : own[index]
                if target - shift != own[index] { moves.rows.append((row, target - shift - own[index])) }
                if index < moved.count { moves.positions![row] = Float(target) }
            }
        }
        if shift != 0 { moves.positions = moves.positions.map { $0.map { $0 - Float(shift) } } }
        return moves
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
