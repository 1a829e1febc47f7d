internal import CAttention

/// Works out which of a layer's keys turn in place when the sequence goes on in another frame, head by head.
struct EntryMoves {
    /// Slots per KV head.
    let slots: Int
    /// Positions are counted from here,
    let base: Int
    /// and from so much farther afterwards.
    let shift: Int
    /// The rows that turn.
    private(set) var rows: [attention_turn] = []
    /// The slots of a head's oldest entries, by position; -1 in between.
    private var order: [Int32] = []

    init(slots: Int, base: Int, shift: Int) {
        self.slots = slots
        self.base = base
        self.shift = shift
    }

    /// Goes on with a head of entries that are never moved up.
    ///
    /// - Parameter held: the position in each slot, -1 where it is empty.
    mutating func shift(head: Int, _ held: UnsafePointer<Float>) {
        for slot in 0..<slots where held[slot] >= 0 { turn(head * slots + slot, by: -shift) }
    }

    /// Goes on with a head whose entries go back to their own positions, so that none is moved any more.
    ///
    /// - Parameters:
    ///   - held: the position in each slot, -1 where it is empty.
    ///   - moved: see ``LayerCache/movedPositions``; those of the head's slots.
    mutating func lower(head: Int, _ held: UnsafePointer<Float>, _ moved: UnsafeMutablePointer<Float>) {
        for slot in 0..<slots {
            let own = Int(held[slot]) - base
            if held[slot] >= 0 { turn(head * slots + slot, by: own - shift - max(own, Int(moved[slot]))) }
            moved[slot] = 0
        }
    }

    /// Goes on with a head whose oldest entries are moved up, entry r to floor + r, until one is there already.
    ///
    /// - Parameters:
    ///   - held: the position in each slot, -1 where it is empty.
    ///   - moved: see ``LayerCache/movedPositions``; those of the head's slots.
    ///   - floor: counted from the base as it was.
    mutating func raise(
        head: Int, _ held: UnsafePointer<Float>, _ moved: UnsafeMutablePointer<Float>, to floor: Int
    ) {
        let base = base
        // Where an entry's key is.
        func place(_ slot: Int) -> Int { max(Int(held[slot]) - base, Int(moved[slot]), 0) }
        // Only entries below it can be moved, however many come before them.
        let end = floor + slots
        var lowest = end
        for slot in 0..<slots where held[slot] >= 0 { lowest = min(lowest, place(slot)) }
        sort(lowest..<end, held, place)
        let oldest = order[..<(end - lowest)].enumerated().filter { $0.element >= 0 }
        let targets = PositionFloor.moved(oldest.map { lowest + $0.offset }, to: floor)
        for (rank, entry) in oldest.enumerated() {
            let (own, slot) = (lowest + entry.offset, Int(entry.element))
            if rank < targets.count { moved[slot] = Float(targets[rank]) } else if shift == 0 { break }
            turn(head * slots + slot, by: (rank < targets.count ? targets[rank] : own) - shift - own)
        }
        guard shift != 0 else { return }
        for slot in 0..<slots {
            if held[slot] >= 0, place(slot) >= end { turn(head * slots + slot, by: -shift) }
        }
        for slot in 0..<slots { moved[slot] -= Float(shift) }
    }

    /// Puts the slots of entries within a range of positions in order.
    private mutating func sort(_ range: Range<Int>, _ held: UnsafePointer<Float>, _ place: (Int) -> Int) {
        if order.count < range.count { order = Array(repeating: -1, count: range.count) }
        order.withUnsafeMutableBufferPointer { order in
            for index in range { order[index - range.lowerBound] = -1 }
            for slot in 0..<slots where held[slot] >= 0 {
                let at = place(slot)
                if range.contains(at) { order[at - range.lowerBound] = Int32(slot) }
            }
        }
    }

    private mutating func turn(_ row: Int, by distance: Int) {
        if distance != 0 { rows.append(attention_turn(row: Int32(row), distance: Int32(clamping: distance))) }
    }
}
