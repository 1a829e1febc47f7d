/// Positions of a sequence that are never evicted, as ranges: ascending, apart from each other, none empty.
struct PinnedPositions: Hashable {
    private(set) var ranges: [Range<Int>] = []

    var isEmpty: Bool { ranges.isEmpty }
    /// How many positions there are.
    var count: Int { ranges.reduce(0) { $0 + $1.count } }

    init() {}

    /// Any ranges, in any order; they may overlap.
    init(_ ranges: some Sequence<Range<Int>>) {
        for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound {
                self.ranges[self.ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    func contains(_ position: Int) -> Bool {
        let next = ranges.partitioningIndex { $0.upperBound > position }
        return next < ranges.count && ranges[next].lowerBound <= position
    }

    /// How many of some positions are among them.
    func count(in positions: Range<Int>) -> Int { clamped(to: positions).count }

    /// Those that are among some positions.
    func clamped(to positions: Range<Int>) -> PinnedPositions {
        PinnedPositions(ranges.lazy.map { $0.clamped(to: positions) })
    }

    /// Those of both.
    func union(_ other: PinnedPositions) -> PinnedPositions { PinnedPositions(ranges + other.ranges) }

    /// Each so much further on.
    func shifted(by distance: Int) -> PinnedPositions {
        PinnedPositions(ranges.lazy.map { $0.lowerBound + distance..<$0.upperBound + distance })
    }
}

extension ScoringRule {
    /// What is left of the prompt's floor beside pins that are not the prompt's, so that one entry can always be chosen.
    ///
    /// - Parameters:
    ///   - promptEnd: the position after the sequence's first prompt.
    ///   - next: the position of the token that a slot is chosen for.
    func promptFloor(beside pins: PinnedPositions, after promptEnd: Int, before next: Int) -> Int {
        guard !pins.isEmpty else { return promptFloor }
        let others = pins.count(in: promptEnd..<max(promptEnd, next))
        return min(promptFloor, capacity - window - sinks - 1 - others)
    }
}
