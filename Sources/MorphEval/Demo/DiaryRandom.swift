/// Random numbers that `Training/prng.py` draws as well: SplitMix64.
struct DiaryRandom {
    private var state: UInt64

    /// The stream with the number `index` of a seed.
    init(seed: UInt32, index: UInt32) { state = UInt64(seed) << 32 | UInt64(index) }

    /// 64 random bits.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// 0 to `count` - 1, by the remainder of the upper 32 bits.
    mutating func below(_ count: Int) -> Int { Int(next() >> 32) % count }

    /// `low` to `high`, both included.
    mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }

    /// One of them.
    mutating func choice<Element>(_ options: [Element]) -> Element { options[below(options.count)] }

    /// `count` different ones: the front of a list, after position i = 0, 1, … was swapped with one at or after i.
    mutating func sample<Element>(_ options: [Element], _ count: Int) -> [Element] {
        var left = options
        for index in 0..<count { left.swapAt(index, index + below(left.count - index)) }
        return Array(left.prefix(count))
    }
}
