internal import MorphKV

/// Random numbers that `Training/prng.py` draws as well: SplitMix64.
package struct TaskRandom {
    private var numbers: SplitMix64

    /// The stream with the number `index` of a seed.
    package init(seed: UInt32, index: UInt32) {
        numbers = SplitMix64(seed: UInt64(seed) << 32 | UInt64(index))
    }

    /// 64 random bits.
    package mutating func next() -> UInt64 { numbers.next() }

    /// 0 to `count` - 1, by the remainder of the upper 32 bits.
    package mutating func below(_ count: Int) -> Int { Int(next() >> 32) % count }

    /// `low` to `high`, both included.
    package mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }

    /// One of them.
    package mutating func choice<Element>(_ options: [Element]) -> Element { options[below(options.count)] }

    /// `count` different ones: the front of a list, after position i = 0, 1, … was swapped with one at or after i.
    package mutating func sample<Element>(_ options: [Element], _ count: Int) -> [Element] {
        var left = options
        for index in 0..<count { left.swapAt(index, index + below(left.count - index)) }
        return Array(left.prefix(count))
    }
}
