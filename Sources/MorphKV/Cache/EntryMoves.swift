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
    /// Room to work in; see `attention_raise`.
    private var order: [Int32] = []
    private var places: [Int32]
    private var turns: [attention_turn]

    init(slots: Int, base: Int, shift: Int) {
        self.slots = slots
        self.base = base
        self.shift = shift
        places = Array(repeating: 0, count: slots)
        turns = Array(repeating: attention_turn(), count: slots)
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
        var raising = attention_raising(
            count: Int32(slots), base: Int32(base), shift: Int32(shift), floor: Int32(floor))
        let lowest = attention_places(&raising, held, moved, &places)
        guard lowest != .max else { return }
        let span = max(0, floor + slots - Int(lowest))
        if order.count < span { order = Array(repeating: -1, count: span) }
        let count = attention_raise(
            &raising, lowest, places, Int32(head * slots), moved, &order, &turns)
        guard count >= 0 else { return raise(head: head, byAge: held, moved, to: floor) }
        rows += turns.prefix(Int(count))
    }

    /// The same where two entries are in one place, so that places do not tell which is older: a floor that is farther up than a
    /// limit ever puts it moves old entries past new ones.
    private mutating func raise(
        head: Int, byAge held: UnsafePointer<Float>, _ moved: UnsafeMutablePointer<Float>, to floor: Int
    ) {
        let aged = (0..<slots).filter { held[$0] >= 0 }.sorted { held[$0] < held[$1] }
        let raised = PositionFloor.moved(aged.map { Int(places[$0]) }, to: floor)
        for (rank, slot) in aged.enumerated() {
            let target = rank < raised.count ? raised[rank] : Int(places[slot])
            turn(head * slots + slot, by: target - shift - Int(places[slot]))
            if rank < raised.count { moved[slot] = Float(target) }
        }
        for slot in 0..<slots where shift != 0 { moved[slot] -= Float(shift) }
    }

    private mutating func turn(_ row: Int, by distance: Int) {
        if distance != 0 { rows.append(attention_turn(row: Int32(row), distance: Int32(clamping: distance))) }
    }
}
