/// Summary-level ROUGE-L as the Python package `rouge_score` 0.1.2 computes it without stemming (`rougeLsum`), which Hugging Face's
/// `evaluate` calls.
///
/// Sentences are lines. For each line of the reference the words of a longest common subsequence with each line of the prediction
/// are collected; a word counts as often as both texts have it.
enum RougeLsum {
    /// The F-measure.
    static func score(prediction: CodePoints, reference: CodePoints) -> Double {
        let (expected, predicted) = (sentences(reference), sentences(prediction))
        var left = counts(expected), right = counts(predicted)
        let (m, n) = (expected.reduce(0) { $0 + $1.count }, predicted.reduce(0) { $0 + $1.count })
        guard m > 0, n > 0 else { return 0 }
        var hits = 0
        for sentence in expected {
            let places = predicted.reduce(into: Set<Int>()) { $0.formUnion(commonPlaces(sentence, $1)) }
            for place in places.sorted() {
                let word = sentence[place]
                guard left[word, default: 0] > 0, right[word, default: 0] > 0 else { continue }
                hits += 1
                left[word]! -= 1
                right[word]! -= 1
            }
        }
        let (recall, precision) = (Double(hits) / Double(m), Double(hits) / Double(n))
        return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0
    }

    /// The words of each line: runs of small letters and digits of ASCII.
    private static func sentences(_ text: CodePoints) -> [[CodePoints]] {
        text.split(separator: "\n").filter { !$0.isEmpty }.map { line in
            line.lowercased().scalars.split { !($0.isASCIILetter || $0.isASCIIDigit) }.map(CodePoints.init(slice:))
        }
    }

    private static func counts(_ sentences: [[CodePoints]]) -> [CodePoints: Int] {
        sentences.joined().reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// Places in the first text of the words of a longest common subsequence; of several the one that the package finds.
    private static func commonPlaces(_ first: [CodePoints], _ second: [CodePoints]) -> [Int] {
        let width = second.count + 1
        var table = [Int32](repeating: 0, count: (first.count + 1) * width)
        for (row, word) in first.enumerated() {
            for (column, other) in second.enumerated() {
                let above = table[row * width + column + 1], before = table[(row + 1) * width + column]
                table[(row + 1) * width + column + 1] =
                    word == other ? table[row * width + column] + 1 : max(above, before)
            }
        }
        var (row, column, places) = (first.count, second.count, [Int]())
        while row > 0, column > 0 {
            if first[row - 1] == second[column - 1] {
                places.append(row - 1)
                (row, column) = (row - 1, column - 1)
            } else if table[row * width + column - 1] > table[(row - 1) * width + column] {
                column -= 1
            } else {
                row -= 1
            }
        }
        return places
    }
}
