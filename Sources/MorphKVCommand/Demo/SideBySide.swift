internal import Foundation
internal import MorphDemo

/// Shows two diaries as they are written, beside each other in the lower part of a terminal.
actor SideBySide {
    private static let gap = " │ "
    private let columnWidth: Int
    private let bodyHeight: Int
    private var sides: [DemoSide]
    private var lastDrawn: ContinuousClock.Instant?

    /// Takes what is to be written; nil without a terminal that has room for two columns.
    init?(_ sides: [DemoSide]) {
        var size = winsize()
        guard Output.isTerminal(.standardOutput), ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0,
            size.ws_col >= 60, size.ws_row >= 14
        else { return nil }
        self.sides = sides
        columnWidth = (Int(size.ws_col) - Self.gap.count) / 2
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
                return row == 0 || row >= height - 3 ? "\u{1B}[1m\(padded)\u{1B}[0m" : String(padded)
            }
            return "\u{1B}[2K" + cells.joined(separator: Self.gap)
        }
        let back = lastDrawn == nil ? "" : "\u{1B}[\(height)A"
        lastDrawn = .now
        try Output.write(back + rows.joined(separator: "\n") + "\n")
    }
}
