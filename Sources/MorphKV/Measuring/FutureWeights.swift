/// The largest attention weights that a text's entries receive from each age on, found a batch of queries at a time.
///
/// Entry j at age h: the largest weight that any query head of the group gives it in queries j + h and later. Weights are
/// noted under the interval of ages that they fall into, which for one query is a contiguous range of keys; the maxima
/// over all later intervals are taken at the end.
struct FutureWeights {
    private let ages: [Int]
    private let kvHeads: Int
    private let tokens: Int
    /// `[kvHead][age][token]`
    private var largest: [Float]
    /// Whether all weights were numbers.
    private(set) var isFinite = true

    init(ages: [Int], kvHeads: Int, tokens: Int) {
        self.ages = ages
        self.kvHeads = kvHeads
        self.tokens = tokens
        largest = Array(repeating: 0, count: ages.count * kvHeads * tokens)
    }

    /// Takes the weights of some queries.
    ///
    /// - Parameters:
    ///   - weights: `[queryHead][query][visible]`, flat: of the text's first `visible` tokens.
    ///   - queries: which of the text's tokens they are.
    mutating func add(
        _ weights: UnsafeBufferPointer<Float>, of queries: Range<Int>, visible: Int, threads: Int
    ) {
        let (ages, tokens) = (ages, tokens)
        let group = weights.count / (visible * queries.count * kvHeads)
        let source = weights.baseAddress!
        // Where one score is not a number, no weight of the query is.
        isFinite =
            isFinite && stride(from: visible - 1, to: weights.count, by: visible).allSatisfy { !source[$0].isNaN }
        largest.withUnsafeMutableBufferPointer { largest in
            let largest = largest.baseAddress!
            Parallel.run(kvHeads, threads: threads) { head in
                for row in 0..<group * queries.count {
                    let weights = source + (head * group * queries.count + row) * visible
                    let query = queries.lowerBound + row % queries.count
                    for (index, age) in ages.enumerated() where age <= query {
                        let oldest = index + 1 < ages.count ? max(0, query - ages[index + 1] + 1) : 0
                        let target = largest + (head * ages.count + index) * tokens
                        Self.raise(target + oldest, to: weights + oldest, count: query - age + 1 - oldest)
                    }
                }
            }
        }
    }

    private static func raise(_ target: UnsafeMutablePointer<Float>, to values: UnsafePointer<Float>, count: Int) {
        for index in 0..<count { target[index] = values[index] > target[index] ? values[index] : target[index] }
    }

    /// The targets by token: `[token][kvHead * ages + age]`; 0 where no query is that late.
    func targets() -> [Float] {
        var result = [Float](repeating: 0, count: largest.count)
        let rows = kvHeads * ages.count
        for row in (0..<rows).reversed() {
            let isLast = (row + 1) % ages.count == 0
            for token in 0..<tokens {
                let later = isLast ? 0 : result[token * rows + row + 1]
                result[token * rows + row] = max(largest[row * tokens + token], later)
            }
        }
        return result
    }
}
