/// The parts of the pages that reports are written as: one file each, readable in light and dark, with nothing to load.
package enum HTML {
    /// A text as it may stand between tags and in quoted attributes.
    package static func escape(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }

    /// A whole page.
    ///
    /// - Parameters:
    ///   - title: The title, as plain text.
    ///   - body: What follows the heading, as HTML.
    package static func page(title: String, body: String) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(escape(title))</title>
        <style>
        \(style)
        \(ChartColors.style)
        </style>
        </head>
        <body>
        <h1>\(escape(title))</h1>
        \(body)
        </body>
        </html>

        """
    }

    /// A table.
    ///
    /// - Parameters:
    ///   - header: The names of the columns, as plain text.
    ///   - rows: The cells, as plain text.
    package static func table(header: [String], rows: [[String]]) -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            "<tr>" + cells.map { "<\(tag)>\(escape($0))</\(tag)>" }.joined() + "</tr>"
        }
        let body = rows.map { row($0, "td") }.joined(separator: "\n")
        return "<table>\n<thead>\(row(header, "th"))</thead>\n<tbody>\n\(body)\n</tbody>\n</table>"
    }

    private static let style = """
        :root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1b1b; --faint: #767676; --grid: #dddddd; }
        @media (prefers-color-scheme: dark) {
        :root { --paper: #16181c; --ink: #ececec; --faint: #a0a0a0; --grid: #3a3d42; } }
        body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
        max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
        table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; display: block; overflow-x: auto; }
        th, td { border: 1px solid var(--grid); padding: 0.3rem 0.6rem; text-align: left; }
        figure { margin: 2rem 0; }
        figcaption { font-weight: 600; margin-bottom: 0.5rem; }
        svg { width: 100%; height: auto; }
        svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
        svg .faint { fill: var(--faint); }
        svg .grid { stroke: var(--grid); stroke-width: 1; }
        .legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; font-size: 0.9rem; }
        .legend svg { width: 34px; height: 14px; vertical-align: middle; margin-right: 0.4rem; }
        """
}
