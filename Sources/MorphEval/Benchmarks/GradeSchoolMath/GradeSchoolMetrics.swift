extension AnswerMetric {
    /// Whether the number after "####" is the reference's: `is_correct` of openai/grade-school-math.
    public static let gsm8kStrict = AnswerMetric("gsm8k_strict") { comparison in
        guard let expected = GSM8K.markedAnswer(in: comparison.reference) else { return nil }
        return GSM8K.markedAnswer(in: comparison.prediction) == expected ? 1 : 0
    }

    /// Whether the last number of the response is the reference's: `flexible-extract` of EleutherAI's
    /// lm-evaluation-harness.
    public static let gsm8kFlexible = AnswerMetric("gsm8k_flexible") { comparison in
        guard let number = GSM8K.lastNumber(in: comparison.prediction) else { return 0 }
        return GSM8K.bare(number) == GSM8K.bare(comparison.reference) ? 1 : 0
    }
}

/// How answers are found in the worked solutions of GSM8K.
enum GSM8K {
    /// The first match of `#### (\-?[0-9\.\,]+)`, without commas.
    static func markedAnswer(in text: CodePoints) -> CodePoints? {
        let mark: CodePoints = "#### "
        var position = text.scalars.startIndex
        while let found = text.firstRange(of: mark, from: position) {
            let rest = text.scalars[found.upperBound...]
            let sign = rest.prefix { $0 == "-" }.prefix(1)
            let digits = rest.dropFirst(sign.count).prefix { $0.isASCIIDigit || $0 == "." || $0 == "," }
            if !digits.isEmpty { return CodePoints(scalars: sign + digits).removing { $0 == "," } }
            position = found.lowerBound + 1
        }
        return nil
    }

    /// The last match of `(-?[$0-9.,]{2,})|(-?[0-9]+)`.
    static func lastNumber(in text: CodePoints) -> CodePoints? {
        var last: CodePoints?
        var position = text.scalars.startIndex
        while position < text.scalars.endIndex {
            let rest = text.scalars[position...]
            let sign = rest.prefix { $0 == "-" }.prefix(1)
            let run = rest.dropFirst(sign.count).prefix(while: isAmountCharacter)
            guard run.count >= 2 || run.first?.isASCIIDigit == true else {
                position += 1
                continue
            }
            last = CodePoints(slice: rest[position..<run.endIndex])
            position = run.endIndex
        }
        return last
    }

    /// An answer as the harness compares it: what follows the last "#### ", in lower case, without commas, dollar signs
    /// and the final full stop.
    static func bare(_ answer: CodePoints) -> CodePoints {
        let plain = answer.removing { $0 == "," || $0 == "$" }
        let number = plain.split(separator: "#### ").last ?? plain
        let isClosed = number.scalars.last == "."
        return CodePoints(slice: isClosed ? number.scalars.dropLast() : number.scalars).lowercased()
    }

    private static func isAmountCharacter(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCIIDigit || scalar == "$" || scalar == "." || scalar == ","
    }
}
