/// One page with everything that a call of `morphkv report` has to show; it loads nothing.
public struct ReportPage: Sendable {
    private let runs: EvaluationReport?
    private let attention: AttentionReport?
    private let command: String?

    /// Puts a page together.
    ///
    /// - Parameters:
    ///   - runs: Compared runs.
    ///   - attention: What policies hold of the attention.
    ///   - command: The call that made it, for a person who wants to repeat it.
    public init(runs: EvaluationReport? = nil, attention: AttentionReport? = nil, command: String? = nil) {
        self.runs = runs
        self.attention = attention
        self.command = command
    }

    /// The tables and notes in Markdown.
    public var markdown: String {
        let call = command.map { "Made by `\($0)`.\n" }
        return [runs?.markdown, attention?.markdown, call].compactMap(\.self).joined(separator: "\n")
    }

    /// The page: tables, notes and charts.
    public var html: String {
        let call = command.map { "<p>Made by <code>\(HTML.escape($0))</code></p>" }
        let parts = [runs?.body, attention?.body, call].compactMap(\.self)
        return HTML.page(title: "morphkv report", body: parts.joined(separator: "\n"))
    }
}
