internal import Foundation

/// Which positions of a text each KV head of each layer holds, as a picture.
package struct PositionMap: Sendable, Hashable {
    /// The caption.
    package let title: String
    /// The positions held: `[layer][kvHead][entry]`, ascending.
    package let positions: [[[Int]]]
    /// How many positions there are.
    package let count: Int
    /// How many of them are the prompt's.
    package let promptCount: Int

    /// Creates a map.
    package init(title: String, positions: [[[Int]]], count: Int, promptCount: Int) {
        self.title = title
        self.positions = positions
        self.count = count
        self.promptCount = promptCount
    }

    private static let left = 110.0
    private static let width = 760.0
    private static let rowHeight = 14.0

    /// The picture with its caption, as HTML.
    package var figure: String {
        "<figure>\n<figcaption>\(HTML.escape(title))</figcaption>\n\(svg)\n</figure>"
    }

    /// The drawing alone: a row for each head, a mark where it holds a position, a line where the prompt ends.
    package var svg: String {
        var rows: [String] = []
        var y = 10.0
        for (layer, heads) in positions.enumerated() {
            for (head, held) in heads.enumerated() {
                rows.append(row("layer \(layer), head \(head)", held, layer: layer, y: y))
                y += Self.rowHeight
            }
            y += 4
        }
        let scale = ChartScale([0, Double(count)], kind: .linear, from: x(0), to: x(count))
        let ticks = scale.ticks.filter { $0 <= Double(count) }.map { tick in
            "<text class=\"faint\" x=\"\(Self.text(x(Int(tick))))\" y=\"\(y + 16)\" text-anchor=\"middle\">"
                + "\(ChartScale.label(tick))</text>"
        }
        let end = Self.text(x(promptCount))
        return """
            <svg viewBox="0 0 \(Int(Self.width)) \(Int(y) + 44)" role="img" aria-label="\(HTML.escape(title))">
            \(rows.joined(separator: "\n"))
            <line class="grid" x1="\(end)" x2="\(end)" y1="4" y2="\(y)"><title>end of the prompt</title></line>
            \(ticks.joined(separator: "\n"))
            <text x="\((Self.left + Self.width) / 2)" y="\(y + 36)" text-anchor="middle">position; the line is the end \
            of the prompt</text>
            </svg>
            """
    }

    private func row(_ name: String, _ held: [Int], layer: Int, y: Double) -> String {
        let marks = Self.runs(of: held).map { run in
            let width = max(0.6, x(run.upperBound + 1) - x(run.lowerBound))
            return
                "M\(Self.text(x(run.lowerBound))) \(y)h\(Self.text(width))v\(Self.rowHeight - 3)h-\(Self.text(width))z"
        }
        return "<g><title>\(HTML.escape("\(name): \(held.count) positions"))</title>"
            + "<text class=\"faint\" x=\"\(Self.left - 8)\" y=\"\(y + Self.rowHeight - 4)\" text-anchor=\"end\">"
            + "\(HTML.escape(name))</text>"
            + "<path class=\"\(ChartColors.className(layer))\" stroke-width=\"0\" d=\"\(marks.joined())\"/></g>"
    }

    private func x(_ position: Int) -> Double {
        Self.left + Double(position) / Double(max(count, 1)) * (Self.width - 20 - Self.left)
    }

    private static func text(_ value: Double) -> String { String(format: "%.1f", value) }

    /// Neighbouring positions together.
    static func runs(of positions: [Int]) -> [ClosedRange<Int>] {
        positions.reduce(into: []) { runs, position in
            if let last = runs.last, last.upperBound + 1 == position {
                runs[runs.count - 1] = last.lowerBound...position
            } else {
                runs.append(position...position)
            }
        }
    }
}
