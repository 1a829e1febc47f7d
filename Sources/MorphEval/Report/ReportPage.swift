/// One page with everything that a call of `morphkv report` has to show; it loads nothing.
public struct ReportPage: Sendable {
    private let runs: EvaluationReport?
    private let attention: AttentionReport?

    /// Puts a page together.
    ///
    /// - Parameters:
    ///   - runs: Compared runs.
    ///   - attention: What policies hold of the attention.
    public init(runs: EvaluationReport? = nil, attention: AttentionReport? = nil) {
        self.runs = runs
        self.attention = attention
    }

    /// The tables and notes in Markdown.
    public var markdown: String { [runs?.markdown, attention?.markdown].compactMap(\.self).joined(separator: "\n") }

    /// The page: tables, notes and charts.
    public var html: String {
        let parts = [runs?.body, attention?.body].compactMap(\.self)
        return HTML.page(title: "morphkv report", body: parts.joined(separator: "\n"))
    }
}
