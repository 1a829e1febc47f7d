import Foundation
import MorphKV

/// What a calibration learns about one layer, from whole matrices of attention weights in double precision: the definition,
/// word by word.
struct ReferenceCalibration {
    let options: Calibrator.Options
    let kvHeads: Int
    let slidingWindow: Int?
    /// The texts, with the layer's share of each.
    let texts: [(text: Calibrator.Text, layer: ReferenceDecoder.Layer)]

    /// The largest weight that a token receives from queries at least that much later; nil if there are none.
    func target(_ layer: ReferenceDecoder.Layer, token: Int, head: Int, age: Int) -> Double? {
        let tokens = layer.inputs.count
        guard token + age < tokens else { return nil }
        let group = layer.weights.count / kvHeads
        return (head * group..<(head + 1) * group).map { query in
            (token + age..<tokens).map { layer.weights[query][$0][token] }.max()!
        }.max()!
    }

    /// The map for a head and an age, and the share of the variance that it explains: ridge regression on standardised
    /// columns, by elimination.
    func map(head: Int, age: Int) -> (weights: [Double], bias: Double, explained: Double) {
        var (x, y): ([[Double]], [Double]) = ([], [])
        for (text, layer) in texts {
            for token in text.tokens.indices {
                guard let value = target(layer, token: token, head: head, age: age) else { continue }
                x.append(layer.inputs[token])
                y.append(value)
            }
        }
        let (n, width) = (Double(x.count), x[0].count)
        let means = (0..<width).map { column in x.reduce(0) { $0 + $1[column] } / n }
        let scales = (0..<width).map { column in
            (x.reduce(0) { $0 + pow($1[column] - means[column], 2) } / (n - 1)).squareRoot()
        }
        let mean = y.reduce(0, +) / n
        let z = x.map { row in (0..<width).map { (row[$0] - means[$0]) / scales[$0] } }
        var system = (0..<width).map { i in
            (0..<width).map { j in z.reduce(0) { $0 + $1[i] * $1[j] } + (i == j ? options.penalty : 0) }
                + [zip(z, y).reduce(0) { $0 + $1.0[i] * ($1.1 - mean) }]
        }
        let solution = Self.eliminate(&system)
        let weights = zip(solution, scales).map { $0 / $1 }
        let bias = mean - ReferenceDecoder.dot(weights, means)
        let error = zip(x, y).reduce(0) { $0 + pow(ReferenceDecoder.dot(weights, $1.0) + bias - $1.1, 2) }
        return (weights, bias, 1 - error / y.reduce(0) { $0 + pow($1 - mean, 2) })
    }

    private static func eliminate(_ rows: inout [[Double]]) -> [Double] {
        for i in rows.indices {
            let pivot = (i..<rows.count).max { abs(rows[$0][i]) < abs(rows[$1][i]) }!
            rows.swapAt(i, pivot)
            for k in rows.indices where k != i {
                let factor = rows[k][i] / rows[i][i]
                for column in i...rows.count { rows[k][column] -= factor * rows[i][column] }
            }
        }
        return rows.indices.map { rows[$0][rows.count] / rows[$0][$0] }
    }

    /// The mean number of entries older than a window whose score at their age exceeds a threshold.
    ///
    /// - Parameter score: of an entry of a text for an age, as its slot stores it.
    func count(window: Int, threshold: Float, score: (_ text: Int, _ entry: Int, _ age: Int) -> Float) -> Double {
        var (count, times) = (0, 0)
        for (index, (text, _)) in texts.enumerated() {
            for quarter in 1...4 {
                times += 1
                let now = text.answer + (text.tokens.count - text.answer) * quarter / 4
                for entry in 0..<now where now - entry > window && now - entry < slidingWindow ?? .max {
                    let age = options.ages.indices.last { options.ages[$0] <= now - entry } ?? 0
                    if score(index, entry, age) > threshold { count += 1 }
                }
            }
        }
        return Double(count) / Double(times)
    }
}
