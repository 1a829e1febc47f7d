internal import Foundation
internal import MorphDemo

/// Shows diaries as they are written, beside each other in the lower part of a terminal.
actor SideBySide {
    private static let gap = " │ "
    private static let narrowest = 24
    private let columnWidth: Int
    private let bodyHeight: Int
    private var sides: [DemoSide]
    private var lastDrawn: ContinuousClock.Instant?

    /// Takes what is to be written; nil without a terminal that has room for them.
    init?(_ sides: [DemoSide]) {
        var size = winsize()
        let gaps = Self.gap.count * (sides.count - 1)
        guard Output.isTerminal(.standardOutput), ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0,
            Int(size.ws_col) >= Self.narrowest * sides.count + gaps, size.ws_row >= 14
        else { return nil }
        self.sides = sides
        columnWidth = (Int(size.ws_col) - gaps) / sides.count
        bodyHeight = min(24, Int(size.ws_row) - 7)
    }

    /// Takes a new piece of one diary, and draws fifteen times a second at most.
    func add(_ progress: DiaryWriter.Progress, cacheBytes: Int, to side: Int) throws {
        sides[side].add(progress, cacheBytes: cacheBytes)
        if let lastDrawn, ContinuousClock.now - lastDrawn < .milliseconds(66) { return }
        try draw()
    }

    /// Draws a last time.
    func finish() throws {
        for index in sides.indices { sides[index].finish() }
        try draw()
    }

    private func draw() throws {
        let columns = sides.map { side -> [String] in
            let body = side.lines(bodyHeight, width: columnWidth)
            return [side.name, ""] + body + Array(repeating: "", count: bodyHeight - body.count + 1) + side.summary
        }
        let height = columns[0].count
        let rows = (0..<height).map { row -> String in
            let cells = columns.map { column -> String in
                let cell = column[row].prefix(columnWidth)
                let padded = cell + String(repeating: " ", count: columnWidth - cell.count)
                return row == 0 || row >= height - DemoSide.summaryLines
                    ? "\u{1B}[1m\(padded)\u{1B}[0m" : String(padded)
            }
            return "\u{1B}[2K" + cells.joined(separator: Self.gap)
        }
        let back = lastDrawn == nil ? "" : "\u{1B}[\(height)A"
        lastDrawn = .now
        try Output.write(back + rows.joined(separator: "\n") + "\n")
    }
}
