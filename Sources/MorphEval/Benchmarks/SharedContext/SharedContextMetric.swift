/// How KVzip scores its tasks (SCBench, SQuAD, GSM8K, needle): `evaluate_answer` of snu-mllab/KVzip `results/metric.py`,
/// itself adapted from microsoft/MInference.
public enum SharedContextMetric {
    /// The metric of a KVzip task, chosen by its name as `evaluate_answer` chooses it.
    ///
    /// RepoQA compares functions of one repository with each other; ``RepoQAScorer`` does that.
    public static func metric(forTask name: String) -> AnswerMetric {
        rules.first { name.contains($0.fragment) }?.metric ?? include
    }

    /// Every one of them.
    public static let all: [AnswerMetric] = rules.map(\.metric) + [include]

    /// The order matters: the first fragment found in the name decides.
    private static let rules: [(fragment: String, metric: AnswerMetric)] = [
        ("_vt", includeShare), ("_mf", exactMatch), ("_many_shot", manyShot), ("summary", summary),
        ("qa_eng", question), ("choice_eng", choice), ("gsm", gsm8k),
    ]

    // MARK: Metrics

    /// Whether the normalized answer holds the normalized reference: `include_score`.
    public static let include = metric("include_score") { includes($0.normalizedShared(), $1.normalizedShared()) }

    /// The share of the references, separated by ", ", that the answer holds: `include_score_multi`.
    public static let includeShare = metric("include_score_multi") { prediction, reference in
        let parts = reference.split(separator: ", ")
        return Double(parts.count { prediction.contains($0) }) / Double(parts.count)
    }

    /// Whether the answer is the reference, to the code point: `exact_match_score` without normalization.
    public static let exactMatch = metric("exact_match_score") { $0 == $1 ? 1 : 0 }

    /// Whether the answer names the option "(A) text" by letter or text: `include_score_manyshot`.
    public static let manyShot = metric("include_score_manyshot") { prediction, reference in
        let mark: Unicode.Scalar = "("
        if prediction.contains(mark), reference.contains(mark) {
            return optionLetter(prediction) == optionLetter(reference) ? 1 : 0
        }
        guard let first = reference.scalars.first else { return nil }
        guard first == mark else { return includes(prediction.normalizedShared(), reference.normalizedShared()) }
        let parts = reference.split(separator: ")")
        guard parts.count > 1 else { return nil }
        return includes(prediction.normalizedShared(), parts[1].trimmed().normalizedShared())
    }

    /// ROUGE-L of the Python package `rouge`, for summaries.
    public static let summary = metric("scbench_rouge_score") { prediction, reference in
        RougeL(recursionLimit: RougeL.longBenchRecursionLimit).score(prediction: prediction, reference: reference)
    }

    /// The better of F1 and inclusion, both normalized: English questions.
    public static let question = metric("f1_or_include_score") { prediction, reference in
        let prediction = prediction.normalizedShared()
        let reference = reference.normalizedShared()
        return max(TokenF1.score(prediction.words(), reference.words()), includes(prediction, reference))
    }

    /// Inclusion in the first line of the answer: multiple choice.
    public static let choice = metric("choice_include_score") { prediction, reference in
        let line = CodePoints(slice: prediction.scalars.prefix { $0 != "\n" })
        return includes(line.normalizedShared(), reference.normalizedShared())
    }

    /// Whether what follows the last "the answer is " holds the number after "#### ": `include_score_gsm`.
    public static let gsm8k = metric("include_score_gsm") { prediction, reference in
        let answer = prediction.trimmed().lowercased().split(separator: "the answer is ").last ?? prediction
        let expected = reference.trimmed().split(separator: "#### ").last ?? reference
        return includes(answer, expected)
    }

    // MARK: Parts

    /// A metric that first drops an end-of-sequence mark and gives 0 to an answer of nothing but white space.
    private static func metric(
        _ name: String, _ compare: @escaping @Sendable (_ prediction: CodePoints, _ reference: CodePoints) -> Double?
    ) -> AnswerMetric {
        AnswerMetric(name) { comparison in
            let prediction = comparison.prediction.withoutEndMark()
            return prediction.trimmed().isEmpty ? 0 : compare(prediction, comparison.reference)
        }
    }

    private static func includes(_ text: CodePoints, _ part: CodePoints) -> Double { text.contains(part) ? 1 : 0 }

    /// `text.split("(")[1].split(")")[0]`.
    private static func optionLetter(_ text: CodePoints) -> CodePoints {
        let inside = text.split(separator: "(")[1]
        return CodePoints(slice: inside.scalars.prefix { $0 != ")" })
    }
}

extension CodePoints {
    /// KVzip's `normalize_answer`: SQuAD's, then the words zero to nine become digits.
    func normalizedShared() -> CodePoints { normalizedAnswer().replacingWords(Self.digitOfName) }

    /// KVzip cuts four characters where an answer ends with "</s>".
    func withoutEndMark() -> CodePoints {
        let mark: CodePoints = "</s>"
        guard scalars.suffix(mark.count).elementsEqual(mark.scalars) else { return self }
        return CodePoints(slice: scalars.dropLast(mark.count))
    }

    private static let digitOfName: [CodePoints: CodePoints] = [
        "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4",
        "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    ]
}
