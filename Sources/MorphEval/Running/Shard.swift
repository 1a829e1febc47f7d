/// One of several equal parts of a run, which a job array computes each by itself.
///
/// Part `number` of `count` has every `count`th sample, so that parts take about as long.
public struct Shard: Sendable, Hashable {
    /// Which part, from 1.
    public let number: Int
    /// How many parts there are.
    public let count: Int

    /// Names a part; nil if there is no such part.
    public init?(_ number: Int, of count: Int) {
        guard count >= 1, (1...count).contains(number) else { return nil }
        self.number = number
        self.count = count
    }

    /// Reads "3/16"; nil if that is none.
    public init?(_ text: String) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let number = numbers[0], let count = numbers[1] else { return nil }
        self.init(number, of: count)
    }

    /// Whether a sample, counted from 0, is one of the part's.
    func has(_ index: Int) -> Bool { index % count == number - 1 }

    /// The samples of the part, of so many.
    func size(of samples: Int) -> Int { (samples + count - number) / count }
}

extension Shard: CustomStringConvertible {
    /// As ``init(_:)`` reads it.
    public var description: String { "\(number)/\(count)" }
}
