extension AnswerMetric {
    /// Whether the last box of the response holds what is the same as the reference but for notation: `is_equiv` of
    /// hendrycks/math on `last_boxed_only_string`.
    public static let mathEquivalence = AnswerMetric("math_equivalence") { comparison in
        guard let answer = BoxedAnswer.last(in: comparison.prediction) else { return 0 }
        return MathNotation.areEquivalent(answer, comparison.reference) ? 1 : 0
    }

    /// Whether the first box holds the reference, letter for letter and up to the first closing brace: NVIDIA/kvpress for MATH-500.
    public static let firstBox = AnswerMetric("kvpress_math500") { comparison in
        let parts = comparison.prediction.split(separator: "boxed{")
        return parts.count > 1 && BoxedAnswer.untilBrace(parts[1]) == comparison.reference ? 1 : 0
    }

    /// The same of the last box; without one, of the response: NVIDIA/kvpress for AIME.
    public static let lastBox = AnswerMetric("kvpress_aime25") { comparison in
        let last = comparison.prediction.split(separator: "boxed{").last ?? comparison.prediction
        return BoxedAnswer.untilBrace(last) == comparison.reference ? 1 : 0
    }
}

/// Answers that are marked as `\boxed{...}`.
enum BoxedAnswer {
    /// What the last `\boxed{...}` holds, nested braces included; nil without one, and for an `\fbox`, which is looked for only where
    /// there is no `\boxed`, and then not opened.
    static func last(in text: CodePoints) -> CodePoints? {
        guard let start = lastRange(of: "\\boxed", in: text)?.lowerBound else { return nil }
        var open = 0
        for index in start..<text.scalars.endIndex {
            if text.scalars[index] == "{" { open += 1 }
            guard text.scalars[index] == "}" else { continue }
            open -= 1
            guard open == 0 else { continue }
            let box = CodePoints(slice: text.scalars[start...index])
            let mark: CodePoints = "\\boxed{"
            return box.scalars.starts(with: mark.scalars)
                ? CodePoints(slice: box.scalars.dropFirst(mark.count).dropLast()) : nil
        }
        return nil
    }

    static func untilBrace(_ text: CodePoints) -> CodePoints { CodePoints(slice: text.scalars.prefix { $0 != "}" }) }

    private static func lastRange(of mark: CodePoints, in text: CodePoints) -> Range<Int>? {
        var last: Range<Int>?
        var position = text.scalars.startIndex
        while let found = text.firstRange(of: mark, from: position) {
            last = found
            position = found.lowerBound + 1
        }
        return last
    }
}
