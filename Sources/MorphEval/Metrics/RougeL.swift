extension AnswerMetric {
    /// Summary-level ROUGE-L: LongBench's `rouge_score`, which is the Python package `rouge` 1.0.1.
    public static let rougeL = AnswerMetric("rouge_score") { comparison in
        RougeL(recursionLimit: RougeL.longBenchRecursionLimit)
            .score(prediction: comparison.prediction, reference: comparison.reference)
    }

    /// ROUGE-L over the words that jieba finds: LongBench's `rouge_zh_score`.
    public static let chineseRougeL = AnswerMetric("rouge_zh_score", segmentsChinese: true) { comparison in
        // One Python function more is on the stack than for English.
        RougeL(recursionLimit: RougeL.longBenchRecursionLimit - 1).score(
            prediction: .joined(comparison.predictionWords), reference: .joined(comparison.referenceWords))
    }
}

/// ROUGE-L as the Python package `rouge` 1.0.1 computes it.
///
/// The package splits both texts at full stops into sentences and these at single spaces into words, and counts unique
/// words. Over all pairs of sentences it collects the words of one longest common subsequence each; the size of that
/// collection, divided by the unique words of either side, gives precision and recall.
struct RougeL: Sendable {
    /// How many nested calls the package's recursive walk over the table may take before Python 3's default limit of
    /// 1,000 frames stops it, which LongBench's scorer turns into a score of 0.
    let recursionLimit: Int

    /// The limit when `eval.py` calls `metrics.py`: nine frames are on the stack already. (Measured with Python 3.11.)
    static let longBenchRecursionLimit = 991

    func score(prediction: CodePoints, reference: CodePoints) -> Double {
        var vocabulary = Vocabulary()
        let predicted = sentences(of: prediction, &vocabulary)
        let expected = sentences(of: reference, &vocabulary)
        guard !predicted.isEmpty, !expected.isEmpty else { return 0 }

        var table = CommonSubsequenceTable()
        var union: Set<Int32> = []
        for sentence in expected {
            for candidate in predicted {
                guard let words = table.commonWords(sentence, candidate, maximumCalls: recursionLimit) else { return 0 }
                union.formUnion(words)
            }
        }
        let recall = Double(union.count) / Double(Set(expected.joined()).count)
        let precision = Double(union.count) / Double(Set(predicted.joined()).count)
        return 2 * ((precision * recall) / (precision + recall + 1e-8))
    }

    /// The sentences as numbers of words. A piece of white space only is a sentence with one empty word.
    private func sentences(of text: CodePoints, _ vocabulary: inout Vocabulary) -> [[Int32]] {
        text.split(separator: ".").filter { !$0.isEmpty }.map { piece in
            let words = piece.words()
            return words.isEmpty ? [vocabulary.number(of: "")] : words.map { vocabulary.number(of: $0) }
        }
    }
}

/// Numbers for words, so that comparing two is comparing two integers.
private struct Vocabulary {
    private var numbers: [CodePoints: Int32] = [:]

    mutating func number(of word: CodePoints) -> Int32 {
        if let number = numbers[word] { return number }
        let number = Int32(numbers.count)
        numbers[word] = number
        return number
    }
}
