/// What a calibration foresees for the entries of a text once the text has ended, collected while it is read.
///
/// A question may come at any time after the text: the score of an entry is the one for its age once a question of
/// ``questionLength`` tokens was read, and covers all that is needed from that age on. At the very end the last tokens
/// would count for what they mean to their neighbours. Unlike scores in slots these are not rounded to a byte.
package final class TextForesight {
    /// Tokens behind the text from which on needs count.
    static let questionLength = 16

    let calibration: Calibration
    /// Tokens of the whole text.
    let tokens: Int
    /// `[layer][kvHead][position]`; no heads in layers with a sliding window, which are never cut.
    private(set) var scores: [[[Float]]]

    /// - Parameter tokens: the length of the whole text.
    init(_ calibration: Calibration, _ description: DecoderDescription, tokens: Int) {
        self.calibration = calibration
        self.tokens = tokens
        scores = description.layers.map { layer in
            let heads = layer.slidingWindow == nil ? layer.kvHeads : 0
            return Array(repeating: Array(repeating: 0, count: tokens), count: heads)
        }
    }

    /// Takes the scores of some tokens for all ages.
    ///
    /// - Parameter values: `[token][kvHead][age]`, flat.
    func collect(_ values: [Float], of positions: Range<Int>, layer: Int) {
        let (heads, ages) = (scores[layer].count, calibration.ages)
        for (token, position) in positions.enumerated() {
            let age = ages.lastIndex { $0 < tokens + Self.questionLength - position } ?? 0
            for head in 0..<heads {
                scores[layer][head][position] = values[(token * heads + head) * ages.count + age]
            }
        }
    }
}
