/// Python's `random.Random`: the Mersenne Twister MT19937 seeded by a whole number, for choices that published code makes with it.
struct MersenneTwister {
    private var state = [UInt32](repeating: 0, count: 624)
    private var next = 624

    /// `random.Random(seed)` (`init_by_array` with one word).
    init(seed: UInt32) {
        state[0] = 19_650_218
        for index in 1..<624 {
            state[index] = 1_812_433_253 &* (state[index - 1] ^ state[index - 1] >> 30) &+ UInt32(index)
        }
        var index = 1
        func step(_ factor: UInt32) -> UInt32 { (state[index - 1] ^ state[index - 1] >> 30) &* factor }
        func advance() {
            index += 1
            if index == 624 { (state[0], index) = (state[623], 1) }
        }
        for _ in 0..<624 {
            state[index] = (state[index] ^ step(1_664_525)) &+ seed
            advance()
        }
        for _ in 0..<623 {
            state[index] = (state[index] ^ step(1_566_083_941)) &- UInt32(index)
            advance()
        }
        state[0] = 0x8000_0000
    }

    private mutating func word() -> UInt32 {
        if next == 624 {
            for index in 0..<624 {
                let mixed = state[index] & 0x8000_0000 | state[(index + 1) % 624] & 0x7FFF_FFFF
                state[index] = state[(index + 397) % 624] ^ mixed >> 1 ^ (mixed & 1 == 0 ? 0 : 0x9908_B0DF)
            }
            next = 0
        }
        var word = state[next]
        next += 1
        word ^= word >> 11
        word ^= word << 7 & 0x9D2C_5680
        word ^= word << 15 & 0xEFC6_0000
        return word ^ word >> 18
    }

    /// `randrange(count)`, count 1 to 2 to the power of 31.
    mutating func below(_ count: Int) -> Int {
        let bits = Int.bitWidth - count.leadingZeroBitCount
        while true {
            let value = Int(word() >> UInt32(32 - bits))
            if value < count { return value }
        }
    }

    /// `sample(range(count), count)`, count up to 21: a permutation.
    mutating func permutation(_ count: Int) -> [Int] {
        var pool = Array(0..<count)
        return (0..<count).map { taken in
            let place = below(count - taken)
            defer { pool[place] = pool[count - taken - 1] }
            return pool[place]
        }
    }
}
