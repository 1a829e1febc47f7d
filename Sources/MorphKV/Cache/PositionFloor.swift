/// Keeps the positions that keys are rotated to close together, so that a sequence goes on beyond the context that its
/// model was trained for.
///
/// What spoils answers there is not large positions, but distances that were never trained. Before a token whose
/// distance to the floor would reach ``limit``, the floor rises, and each head's entries, oldest first, are moved up to
/// it: entry r gets the larger of its own position and floor + r. So their order stays, positions stay distinct, and
/// distances stay below the limit. Inside the trained context nothing differs from positions that grow for ever.
struct PositionFloor: Hashable {
    /// Distances stay below it, from the first move on.
    let limit: Int
    /// Tokens of a sequence before its first move: the trained context, or the limit if one was asked for.
    let start: Int
    /// By how much the floor rises beyond what the next token needs, so that keys move in bursts.
    let stride: Int
    /// The most entries that a KV head may hold, and the positions of a text before them that is held elsewhere.
    let entries: Int

    /// - Parameters:
    ///   - asked: nil for three quarters of the trained context.
    ///   - context: tokens of the trained context.
    /// - Throws: ``CacheError`` of kind `positions` if a limit that was asked for leaves no room; a usual one that leaves none
    ///   makes nil.
    init?(_ asked: Int?, context: Int, entries: Int) throws {
        let wanted = asked ?? context * 3 / 4
        stride = max(1, wanted / 6)
        limit = max(wanted, entries + stride)
        start = asked == nil ? context : limit
        self.entries = entries
        guard let asked else {
            if limit > context { return nil }
            return
        }
        guard asked >= entries, limit <= context else {
            throw CacheError(
                .positions,
                "distances below \(asked) are not possible: \(entries) entries per KV head and the \(stride) by which "
                    + "positions move at a time fit into \(asked) at least, and that into the trained context of \(context)"
            )
        }
    }

    /// Tokens that can enter at a time.
    var largestPart: Int { limit - stride - entries + 1 }

    /// The floor before tokens enter whose last one is at the position before `end`; nil if it need not rise.
    func raised(_ floor: Int, before end: Int) -> Int? {
        end - floor > (floor == 0 ? start : limit) ? end - 1 - limit + stride : nil
    }

    /// The positions that a head's entries are moved to.
    ///
    /// - Parameter positions: those that they have, ascending.
    /// - Returns: the new positions of the first entries; the others keep theirs.
    static func moved(_ positions: [Int], to floor: Int) -> [Int] {
        var moved: [Int] = []
        for (rank, position) in positions.enumerated() {
            guard position < floor + rank else { break }
            moved.append(floor + rank)
        }
        return moved
    }
}
