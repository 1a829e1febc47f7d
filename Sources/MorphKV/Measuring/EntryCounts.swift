internal import Foundation

/// How many entries of a layer have a score above each threshold, at several times of the texts.
struct EntryCounts {
    private let ages: [Int]
    private let windows: [Int]
    private let thresholds: [Float]
    private let kvHeads: Int
    private let slidingWindow: Int?
    /// By the largest window that an entry has left, the KV head and the code: `[window][kvHead][code + 127]`.
    private var histogram: [Int]
    private var times = 0

    private static let codes = 255

    init(ages: [Int], windows: [Int], thresholds: [Float], geometry: LayerGeometry) {
        self.ages = ages
        self.windows = windows
        self.thresholds = thresholds
        kvHeads = geometry.kvHeads
        slidingWindow = geometry.slidingWindow
        histogram = Array(repeating: 0, count: windows.count * kvHeads * Self.codes)
    }

    /// Counts the entries of a text when a quarter, a half, three quarters and all of its answer are read.
    ///
    /// - Parameters:
    ///   - scores: `[token][kvHead * ages + age]`.
    ///   - answer: tokens before the answer.
    mutating func add(_ scores: [Float], tokens: Int, answer: Int) {
        let codes = scores.map(Self.code)
        for quarter in 1...4 {
            times += 1
            let seen = answer + (tokens - answer) * quarter / 4
            for entry in 0..<seen {
                let age = seen - entry
                // What a layer with a sliding window cannot see any more is in nobody's way.
                guard let window = windows.lastIndex(where: { $0 < age }), age < slidingWindow ?? .max else { continue }
                let index = ages.lastIndex { $0 <= age } ?? 0
                for head in 0..<kvHeads {
                    let code = codes[(entry * kvHeads + head) * ages.count + index]
                    histogram[(window * kvHeads + head) * Self.codes + code + 127] += 1
                }
            }
        }
    }

    /// The mean numbers: `[window][threshold][kvHead]`, flat.
    func means() -> [Float] {
        var result: [Float] = []
        for window in windows.indices {
            for threshold in thresholds {
                let first = (0..<Self.codes).first { Self.value($0 - 127) > threshold } ?? Self.codes
                for head in 0..<kvHeads {
                    var count = 0
                    for later in window..<windows.count {
                        let start = (later * kvHeads + head) * Self.codes
                        count += histogram[start + first..<start + Self.codes].reduce(0, +)
                    }
                    result.append(Float(Double(count) / Double(max(1, times))))
                }
            }
        }
        return result
    }

    /// The code in which a slot stores a score; see `Foresight`.
    private static func code(_ score: Float) -> Int {
        let root = 127 * min(1, abs(score)).squareRoot()
        return Int(score < 0 ? -root.rounded() : root.rounded())
    }

    private static func value(_ code: Int) -> Float {
        let share = Float(code) / 127
        return code < 0 ? -share * share : share * share
    }
}
