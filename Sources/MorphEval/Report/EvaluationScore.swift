internal import MorphKV

/// One score of a run, with what is needed to say how certain it is.
public struct EvaluationScore: Sendable, Hashable {
    /// What a sample contributes: to a mean its score and 1, to a share of yes the number of yes and of questions.
    package struct Share: Sendable, Hashable {
        /// What is added up.
        package var sum: Double
        /// By what the total is divided.
        package var weight: Double

        /// Creates a contribution.
        package init(sum: Double, weight: Double = 1) {
            self.sum = sum
            self.weight = weight
        }
    }

    /// What it is called.
    public let name: String
    /// The names of the samples, in the order of what they contribute; empty if nobody asks for them.
    package let ids: [String]
    /// For each group of questions, which count alike, the contribution of each sample.
    private let groups: [[Share]]

    /// A mean over samples.
    package init(_ name: String, values: [Double], ids: [String] = []) {
        self.init(name, groups: [values.map { Share(sum: $0) }], ids: ids)
    }

    /// The mean of several groups' shares.
    package init(_ name: String, groups: [[Share]], ids: [String] = []) {
        self.name = name
        self.groups = groups
        self.ids = ids
    }

    /// The number of samples.
    public var count: Int { groups.first?.count ?? 0 }

    /// What each sample alone would give.
    package var samples: [Double] { (0..<count).map { value(of: CollectionOfOne($0)) } }

    /// The score in percent; `nil` without samples.
    public var value: Double? { count > 0 ? value(of: 0..<count) : nil }

    /// How often samples are drawn anew for an interval.
    public static let resamples = 2_000

    /// The 95 % interval by the bootstrap: questions are drawn with replacement, always the same way, each with all of its
    /// answers where it was asked several times, and the middle 95 % of the numbers are taken (percentile method). `nil` for
    /// fewer than two questions.
    public var interval: ClosedRange<Double>? { Self.interval(of: questions) { value(of: $0) } }

    /// The places of the samples of each question, in the order of the questions' first samples.
    package var questions: [[Int]] { ids.isEmpty ? (0..<count).map { [$0] } : Self.questions(ids) }

    /// The places of names that belong to one question: "q", "q#2" and so on, as ``EvaluationSample/repeated(_:times:)``
    /// names them. What follows a name's first space tells contents apart.
    static func questions(_ ids: [String]) -> [[Int]] {
        var places: [String: Int] = [:]
        return ids.enumerated().reduce(into: []) { questions, sample in
            let name = sample.element.prefix { $0 != " " }
            let isRepeat = name.split(separator: "#").last.map { $0.allSatisfy(\.isNumber) } ?? false
            let question = isRepeat ? String(name.prefix { $0 != "#" }) : String(name)
            if let place = places[question] { return questions[place].append(sample.offset) }
            places[question] = questions.count
            questions.append([sample.offset])
        }
    }

    /// The 95 % interval of something that is computed from samples, which are drawn by questions.
    static func interval(of questions: [[Int]], _ value: ([Int]) -> Double) -> ClosedRange<Double>? {
        guard questions.count > 1 else { return nil }
        var random = SplitMix64(seed: 1)
        let values = (0..<resamples).map { _ in
            value(questions.indices.flatMap { _ in questions[Int(random.next() % UInt64(questions.count))] })
        }.sorted()
        let outside = resamples / 40
        return values[outside]...values[resamples - 1 - outside]
    }

    /// The score of some samples, by their places.
    func value(of samples: some Sequence<Int>) -> Double {
        let chosen = Array(samples)
        let shares = groups.map { group in
            let total = chosen.reduce(into: Share(sum: 0, weight: 0)) {
                $0.sum += group[$1].sum
                $0.weight += group[$1].weight
            }
            return total.weight > 0 ? total.sum / total.weight : 0
        }
        return shares.reduce(0, +) / Double(max(shares.count, 1))
    }
}
