internal import Foundation

/// Lines over a plane, with markers of different shapes and, where there are any, intervals.
package struct LineChart: Sendable {
    /// One value.
    package struct Point: Sendable, Hashable {
        /// Where it lies along the bottom.
        package let x: Double
        /// Its height.
        package let y: Double
        /// The interval around it.
        package let interval: ClosedRange<Double>?

        /// Creates a point.
        package init(x: Double, y: Double, interval: ClosedRange<Double>? = nil) {
            self.x = x
            self.y = y
            self.interval = interval
        }
    }

    /// The values of one name.
    package struct Series: Sendable, Hashable {
        /// What the legend calls it.
        package let name: String
        /// Its values; they are connected in the order of `x`.
        package let points: [Point]
        /// Whether it is a level that holds for all of the bottom axis; its first point counts.
        package let isLevel: Bool

        /// Creates a series.
        package init(_ name: String, _ points: [Point], isLevel: Bool = false) {
            self.name = name
            self.points = points.sorted { $0.x < $1.x }
            self.isLevel = isLevel
        }
    }

    /// The caption.
    package let title: String
    /// What lies along the bottom.
    package let xLabel: String
    /// What the height is.
    package let yLabel: String
    /// The lines.
    package let series: [Series]
    /// Whether equal distances along the bottom are equal ratios.
    package var doublesAlongX = false
    /// Whether the height begins at 0.
    package var beginsAtZero = true
    /// What is written along the bottom, in place of round numbers.
    package var ticks: [Tick] = []
    /// Whether names stand at the ends of the lines too.
    package var namesLines = false

    /// A place along the bottom.
    package struct Tick: Sendable, Hashable {
        /// The value there.
        package let x: Double
        /// What is written.
        package let label: String

        /// Creates a tick.
        package init(x: Double, label: String) {
            self.x = x
            self.label = label
        }
    }

    /// Creates a chart.
    package init(title: String, xLabel: String, yLabel: String, series: [Series]) {
        self.title = title
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.series = series
    }

    private static let width = 760.0
    private static let height = 400.0
    private static let left = 70.0
    private static let bottom = 350.0
    /// Where the area of the lines ends.
    private var right: Double { Self.width - (namesLines ? 140 : 20) }

    /// The chart with caption and legend, as HTML.
    package var figure: String {
        let items = series.enumerated().map { index, series in
            "<li><svg viewBox=\"0 0 34 14\" aria-hidden=\"true\">"
                + Self.line([(0, 7), (34, 7)], index, isDashed: series.isLevel)
                + (series.isLevel ? "" : Self.marker(17, 7, index)) + "</svg>\(HTML.escape(series.name))</li>"
        }
        return """
            <figure>
            <figcaption>\(HTML.escape(title))</figcaption>
            \(svg)
            <ul class="legend">\(items.joined())</ul>
            </figure>
            """
    }

    /// The drawing alone.
    package var svg: String {
        let points = series.flatMap(\.points)
        let heights = points.flatMap { [$0.y, $0.interval?.lowerBound ?? $0.y, $0.interval?.upperBound ?? $0.y] }
        let placed = series.filter { !$0.isLevel }.flatMap(\.points).map(\.x)
        let xScale = ChartScale(
            placed, kind: doublesAlongX ? .doubling : .linear, from: Self.left + 20, to: right - 20)
        let yScale = ChartScale(
            heights, kind: .linear, from: Self.bottom, to: 20, includesZero: beginsAtZero)
        let drawn = series.enumerated().map { draw($1, $0, xScale, yScale) }.joined(separator: "\n")
        return """
            <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" aria-label="\(HTML.escape(title))">
            \(axes(xScale, yScale))
            \(drawn)\(namesLines ? names(xScale, yScale) : "")
            </svg>
            """
    }

    private func axes(_ xScale: ChartScale, _ yScale: ChartScale) -> String {
        let across = yScale.ticks.map { tick in
            let y = Self.coordinate(yScale.position(tick))
            return "<line class=\"grid\" x1=\"\(Self.left)\" x2=\"\(right)\" y1=\"\(y)\" y2=\"\(y)\"/>"
                + "<text class=\"faint\" x=\"\(Self.left - 8)\" y=\"\(y)\" dy=\"4\" text-anchor=\"end\">"
                + "\(ChartScale.label(tick))</text>"
        }
        let ticks = ticks.isEmpty ? xScale.ticks.map { Tick(x: $0, label: ChartScale.label($0)) } : ticks
        let along = ticks.map { tick in
            "<text class=\"faint\" x=\"\(Self.coordinate(xScale.position(tick.x)))\" y=\"\(Self.bottom + 18)\" "
                + "text-anchor=\"middle\">\(HTML.escape(tick.label))</text>"
        }
        let middle = (Self.left + right) / 2
        return (across + along).joined(separator: "\n")
            + "\n<text x=\"\(middle)\" y=\"\(Self.height - 10)\" text-anchor=\"middle\">\(HTML.escape(xLabel))</text>"
            + "\n<text transform=\"translate(16 \(Self.bottom / 2)) rotate(-90)\" text-anchor=\"middle\">"
            + "\(HTML.escape(yLabel))</text>"
    }

    private func draw(_ series: Series, _ index: Int, _ xScale: ChartScale, _ yScale: ChartScale) -> String {
        if series.isLevel {
            guard let level = series.points.first else { return "" }
            let y = yScale.position(level.y)
            return Self.line([(Self.left, y), (right, y)], index, isDashed: true)
        }
        // Intervals of several series at one place stand side by side.
        let hasIntervals = self.series.contains { $0.points.contains { $0.interval != nil } }
        let shift = hasIntervals ? 5 * (Double(index) - Double(self.series.count - 1) / 2) : 0
        let places = series.points.map { (xScale.position($0.x) + shift, yScale.position($0.y)) }
        let marks = zip(series.points, places).map { point, place in
            let values = point.interval.map {
                ", \(ChartScale.label($0.lowerBound)) to \(ChartScale.label($0.upperBound))"
            }
            let whisker = point.interval.map { interval in
                let x = Self.coordinate(place.0)
                return "<line class=\"whisker \(ChartColors.className(index))\" x1=\"\(x)\" x2=\"\(x)\" "
                    + "y1=\"\(Self.coordinate(yScale.position(interval.lowerBound)))\" "
                    + "y2=\"\(Self.coordinate(yScale.position(interval.upperBound)))\"/>"
            }
            let title =
                "\(series.name): \(ChartScale.label(point.x)), \(ChartScale.label(point.y))\(values ?? "")"
            return "<g><title>\(HTML.escape(title))</title>\(whisker ?? "")\(Self.marker(place.0, place.1, index))</g>"
        }
        return Self.line(places, index, isDashed: false) + marks.joined(separator: "\n")
    }

    /// Each series' name beside the end of its line, moved so that no two cover each other.
    private func names(_ xScale: ChartScale, _ yScale: ChartScale) -> String {
        let ends = series.enumerated().compactMap { index, series -> (index: Int, x: Double, y: Double)? in
            let end = series.isLevel ? series.points.first : series.points.last
            return end.map { (index, series.isLevel ? right : xScale.position($0.x), yScale.position($0.y)) }
        }.sorted { ($0.y, $0.index) < ($1.y, $1.index) }
        let height = 15.0
        var places: [Double] = []
        for end in ends { places.append(max(end.y, (places.last ?? -height) + height)) }
        for index in places.indices.reversed() {
            places[index] = min(places[index], Self.bottom - height * Double(places.count - 1 - index))
        }
        return zip(ends, places).map { end, y in
            let text = Self.coordinate(y)
            return "<line class=\"grid\" x1=\"\(Self.coordinate(end.x + 6))\" y1=\"\(Self.coordinate(end.y))\" "
                + "x2=\"\(right + 16)\" y2=\"\(text)\"/>"
                + "<text class=\"name \(ChartColors.className(end.index))\" x=\"\(right + 20)\" y=\"\(text)\" dy=\"4\">"
                + "\(HTML.escape(series[end.index].name))</text>"
        }.joined(separator: "\n")
    }

    // MARK: Marks

    private static func line(_ places: [(Double, Double)], _ index: Int, isDashed: Bool) -> String {
        guard places.count > 1 else { return "" }
        let points = places.map { "\(coordinate($0.0)),\(coordinate($0.1))" }.joined(separator: " ")
        let dashes = isDashed ? " stroke-dasharray=\"6 4\"" : ""
        return "<polyline class=\"line \(ChartColors.className(index))\"\(dashes) points=\"\(points)\"/>"
    }

    /// Another shape for each of six series.
    private static func marker(_ x: Double, _ y: Double, _ index: Int) -> String {
        let shapes = [
            "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", "M-4 -4h8v8h-8z", "M0 -5l5 9h-10z", "M0 -5l5 5l-5 5l-5 -5z",
            "M0 5l5 -9h-10z", "M-4 -1.5h2.5v-2.5h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5z",
        ]
        return "<path class=\"\(ChartColors.className(index))\" "
            + "transform=\"translate(\(coordinate(x)) \(coordinate(y)))\" d=\"\(shapes[index % shapes.count])\"/>"
    }

    private static func coordinate(_ value: Double) -> String { String(format: "%.1f", value) }
}
