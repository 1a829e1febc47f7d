/// LongWriter's score of how well a response keeps to the length that was asked for (arXiv 2408.07055,
/// `eval_length.py`).
public enum LongWriterLengthScore {
    /// 100 for the requested length, falling to 0 at four times of it and at a third of it.
    ///
    /// - Returns: 0 where a length is zero and the published code divides by it.
    public static func score(requested: Int, written: Int) -> Double {
        guard requested != 0, written != 0 else { return 0 }
        let requested = Double(requested)
        let written = Double(written)
        return written > requested
            ? 100 * max(0, 1 - (written / requested - 1) / 3)
            : 100 * max(0, 1 - (requested / written - 1) / 2)
    }

    /// The length of a response as LongWriter counts it: Chinese characters, and words of the letters A to Z.
    ///
    /// A run of such letters that touches a digit, an underscore, or any other letter is not a word.
    public static func wordCount(of response: String) -> Int {
        let text = CodePoints(response)
        let words = text.wordRuns().count { $0.isWord && $0.text.scalars.allSatisfy(\.isASCIILetter) }
        return words + text.scalars.count(where: \.isChineseCharacter)
    }
}
