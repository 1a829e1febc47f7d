/// Where the positions that keys are rotated to stand at present.
struct RotaryFrame: Hashable {
    /// The lowest position that an entry which was moved has, counted like those of tokens.
    var floor = 0
    /// Keys and queries are rotated to positions counted from here: attention depends on distances only, and angles of
    /// small positions are exact.
    var base = 0

    /// Positions may be so far from the base at least before it follows.
    private static let reach = 1 << 16

    /// The frame when the floor rises; now and then its base follows.
    ///
    /// - Parameter limit: the largest distance that keys are seen at.
    func raised(to floor: Int, limit: Int) -> RotaryFrame {
        let isFar = floor - base > max(Self.reach, 2 * limit)
        return RotaryFrame(floor: floor, base: isFar ? floor : base)
    }
}
