/// A table in Markdown.
package struct MarkdownTable: Sendable, Hashable {
    /// The names of the columns.
    package let header: [String]
    /// The cells.
    package let rows: [[String]]

    /// Creates a table.
    package init(header: [String], rows: [[String]]) {
        self.header = header
        self.rows = rows
    }

    /// The table as text, with a newline at the end.
    package var text: String {
        let rule = header.map { _ in "---" }
        return ([header, rule] + rows).map { "| " + $0.map(Self.cell).joined(separator: " | ") + " |\n" }.joined()
    }

    private static func cell(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
            .split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
