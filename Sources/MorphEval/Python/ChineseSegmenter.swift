/// Splits Chinese texts into words.
public protocol ChineseSegmenter: Sendable {
    /// The words of each text, in order; together they are the text again.
    func segment(_ texts: [String]) async throws -> [[String]]
}

/// The words of a set of texts, found in one go.
struct Segmentation: Sendable {
    private var words: [CodePoints: [CodePoints]] = [:]

    init() {}

    init(of texts: some Sequence<CodePoints>, by segmenter: any ChineseSegmenter) async throws {
        let unique = Array(Set(texts))
        guard !unique.isEmpty else { return }
        let lists = try await segmenter.segment(unique.map(\.string))
        guard lists.count == unique.count else {
            throw EvaluationError(.helper, "\(lists.count) of \(unique.count) texts were segmented")
        }
        for (text, list) in zip(unique, lists) { add(text, words: list.map(CodePoints.init(_:))) }
    }

    /// Sets the words of a text.
    mutating func add(_ text: CodePoints, words list: [CodePoints]) { words[text] = list }

    /// The words of one of the texts.
    func words(of text: CodePoints) -> [CodePoints] {
        guard let list = words[text] else { preconditionFailure("the text was not segmented beforehand") }
        return list
    }
}
