internal import Foundation

/// The similarity of two functions in RepoQA: BLEU of up to four words with the smoothing that NLTK calls method 4
/// (Chen and Cherry 2014), against a single reference.
enum Bleu {
    static func score(_ candidate: [CodePoints], _ reference: [CodePoints]) -> Double {
        let precisions = (1...4).map { precision(candidate, reference, length: $0) }
        guard precisions[0].matches > 0 else { return 0 }
        var smoothing = 1.0
        var logarithms = 0.0
        for precision in precisions {
            var share = Double(precision.matches) / Double(precision.total)
            if precision.matches == 0, candidate.count > 1 {
                share = 1 / (exp2(smoothing) * 5 / log(Double(candidate.count))) / Double(precision.total)
                smoothing += 1
            }
            if share > 0 { logarithms += 0.25 * log(share) }
        }
        return brevityPenalty(candidate.count, reference.count) * exp(logarithms)
    }

    private static func brevityPenalty(_ candidate: Int, _ reference: Int) -> Double {
        candidate > reference ? 1 : exp(1 - Double(reference) / Double(candidate))
    }

    /// How many runs of `length` words of the candidate the reference holds too, each as often as it does.
    private static func precision(
        _ candidate: [CodePoints], _ reference: [CodePoints], length: Int
    ) -> (matches: Int, total: Int) {
        let wanted = runs(candidate, length)
        let available = runs(reference, length)
        let matches = wanted.reduce(0) { $0 + min($1.value, available[$1.key, default: 0]) }
        return (matches, max(1, candidate.count - length + 1))
    }

    private static func runs(_ words: [CodePoints], _ length: Int) -> [ArraySlice<CodePoints>: Int] {
        guard words.count >= length else { return [:] }
        return (0...words.count - length).reduce(into: [:]) { $0[words[$1..<$1 + length], default: 0] += 1 }
    }
}
