internal import Foundation

/// Shares of 1 over two dimensions, as a picture and as a table.
package struct HeatMap: Sendable, Hashable {
    /// The caption.
    package let title: String
    /// What lies along the bottom.
    package let xLabel: String
    /// What goes down.
    package let yLabel: String
    /// The names of the columns.
    package let columns: [String]
    /// The names of the rows, from the top.
    package let rows: [String]
    /// The shares, row by row; `nil` where there is none.
    package let shares: [[Double?]]

    /// Creates a heat map.
    package init(
        title: String, xLabel: String, yLabel: String, columns: [String], rows: [String], shares: [[Double?]]
    ) {
        self.title = title
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.columns = columns
        self.rows = rows
        self.shares = shares
    }

    /// The picture with its caption, as HTML; every cell states its percentage too.
    package var figure: String {
        "<figure>\n<figcaption>\(HTML.escape(title))</figcaption>\n\(svg)\n</figure>"
    }

    /// The drawing alone.
    package var svg: String {
        let left = max(90, 24 + 6.2 * Double(rows.map(\.count).max() ?? 0))
        let cellWidth = min(90, 660 / Double(max(columns.count, 1)))
        let cellHeight = 28.0
        let width = left + cellWidth * Double(columns.count) + 10
        let bottom = 10 + cellHeight * Double(rows.count)
        let cells = rows.indices.flatMap { row in
            columns.indices.map { column in
                cell(
                    shares[row][column], "\(rows[row]), \(columns[column])",
                    x: left + cellWidth * Double(column), y: 10 + cellHeight * Double(row), cellWidth, cellHeight)
            }
        }
        let down = rows.enumerated().map { index, name in
            let y = 10 + cellHeight * (Double(index) + 0.5)
            return "<text class=\"faint\" x=\"\(left - 8)\" y=\"\(y)\" dy=\"4\" text-anchor=\"end\">"
                + "\(HTML.escape(name))</text>"
        }
        let along = columns.enumerated().map { index, name in
            let x = left + cellWidth * (Double(index) + 0.5)
            return "<text class=\"faint\" x=\"\(x)\" y=\"\(bottom + 18)\" text-anchor=\"middle\">"
                + "\(HTML.escape(name))</text>"
        }
        return """
            <svg viewBox="0 0 \(width) \(bottom + 50)" style="max-width: \(width)px" role="img" \
            aria-label="\(HTML.escape(title))">
            \((cells + down + along).joined(separator: "\n"))
            <text x="\((left + width) / 2)" y="\(bottom + 40)" text-anchor="middle">\(HTML.escape(xLabel))</text>
            <text transform="translate(16 \(bottom / 2)) rotate(-90)" text-anchor="middle">\(HTML.escape(yLabel))</text>
            </svg>
            """
    }

    private func cell(
        _ share: Double?, _ place: String, x: Double, y: Double, _ width: Double, _ height: Double
    ) -> String {
        let box = "x=\"\(x)\" y=\"\(y)\" width=\"\(width - 1)\" height=\"\(height - 1)\""
        guard let share else { return "<rect \(box) fill=\"none\" stroke=\"var(--grid)\"/>" }
        let (color, isLight) = ChartColors.heat(share)
        return "<g><title>\(HTML.escape("\(place): \(Self.percent(share))"))</title><rect \(box) fill=\"\(color)\"/>"
            + "<text x=\"\(x + width / 2)\" y=\"\(y + height / 2)\" dy=\"4\" text-anchor=\"middle\" "
            + "style=\"fill: \(isLight ? "#000" : "#fff")\">\(Self.percent(share))</text></g>"
    }

    /// The shares as a Markdown table, in percent.
    package var markdown: String {
        MarkdownTable(
            header: ["\(yLabel) ↓ \(xLabel) →"] + columns,
            rows: rows.indices.map { row in [rows[row]] + shares[row].map { $0.map(Self.percent) ?? "" } }
        ).text
    }

    /// The shares as coloured cells for a terminal with 256 colours.
    package var terminal: String {
        let label = (rows.map(\.count).max() ?? 0) + 1
        let width = max(5, (columns.map(\.count).max() ?? 0) + 1)
        func padded(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        // From the dark blue to the yellow of the 256 colours' cube.
        let colors = [17, 60, 102, 144, 179, 221]
        let lines = rows.indices.map { row in
            let cells = shares[row].map { share -> String in
                guard let share else { return padded("", width) }
                let color = colors[Int(min(max(share, 0), 0.999) * Double(colors.count))]
                let ink = color == 17 || color == 60 ? 231 : 16
                return "\u{1B}[48;5;\(color);38;5;\(ink)m\(padded(Self.percent(share), width))\u{1B}[0m"
            }
            return padded(rows[row], label) + " " + cells.joined()
        }
        let bottom = padded("", label) + " " + columns.map { padded($0, width) }.joined()
        return "\(title) (down: \(yLabel), across: \(xLabel))\n"
            + (lines + [bottom]).joined(separator: "\n") + "\n"
    }

    private static func percent(_ share: Double) -> String { String(format: "%.0f", 100 * share) }
}
