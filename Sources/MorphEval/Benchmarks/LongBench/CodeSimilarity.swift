extension AnswerMetric {
    /// How similar the first line of code is to the reference, in hundredths: LongBench's `code_sim_score`, which is
    /// `fuzz.ratio` of fuzzywuzzy 0.18.0 with the standard library's `difflib`.
    public static let codeSimilarity = AnswerMetric("code_sim_score") { comparison in
        Double(CodeSimilarity.percentage(CodeSimilarity.firstCodeLine(of: comparison.prediction), comparison.reference))
            / 100
    }
}

enum CodeSimilarity {
    /// The first line, after leading newlines, that is neither a comment nor a fence of a code block; or none.
    static func firstCodeLine(of prediction: CodePoints) -> CodePoints {
        let text = CodePoints(slice: prediction.scalars.drop { $0 == "\n" })
        return text.split(separator: "\n")
            .first { !$0.contains("`" as Unicode.Scalar) && !$0.contains("#" as Unicode.Scalar) && !$0.contains("//") }
            ?? ""
    }

    /// `fuzz.ratio`: 100 for equal texts, 0 if one is empty, else the ratio rounded half to even.
    static func percentage(_ a: CodePoints, _ b: CodePoints) -> Int {
        if a == b { return 100 }
        if a.isEmpty || b.isEmpty { return 0 }
        let ratio = SequenceMatcher(a.scalars.map(\.value), b.scalars.map(\.value)).ratio()
        return Int((100 * ratio).rounded(.toNearestOrEven))
    }
}
