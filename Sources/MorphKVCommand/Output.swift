internal import Foundation

/// Writing to the terminal or to whatever the output is piped into.
enum Output {
    /// Writes text at once, without a line end.
    static func write(_ text: String, to handle: FileHandle = .standardOutput) throws {
        try handle.write(contentsOf: Data(text.utf8))
    }

    static func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write(String(decoding: encoder.encode(value), as: UTF8.self) + "\n")
    }

    static func isTerminal(_ handle: FileHandle) -> Bool { isatty(handle.fileDescriptor) == 1 }

    /// Bytes for people: 1.5 MB, 12 KB.
    static func bytes(_ count: Int) -> String {
        let units = ["B", "KB", "MB", "GB", "TB"]
        var value = Double(count)
        var unit = 0
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(count) B" : String(format: value < 10 ? "%.2f %@" : "%.0f %@", value, units[unit])
    }
}

/// One line at the bottom of the terminal that is rewritten as the work goes on.
struct StatusLine {
    private let handle = FileHandle.standardError
    private let isShown: Bool
    private var lastUpdate = ContinuousClock.now - .seconds(1)

    /// - Parameter isShown: whether there is a terminal to show it on.
    init(isShown: Bool) { self.isShown = isShown }

    /// Replaces the line, ten times a second at most.
    mutating func show(_ text: @autoclosure () -> String) {
        guard isShown, ContinuousClock.now - lastUpdate > .milliseconds(100) else { return }
        lastUpdate = .now
        // Save the cursor, go to the last row, write, come back: the generated text is left alone.
        try? Output.write("\u{1B}7\u{1B}[999;1H\u{1B}[2K\u{1B}[7m \(text()) \u{1B}[0m\u{1B}8", to: handle)
    }

    /// Removes the line.
    func clear() {
        guard isShown else { return }
        try? Output.write("\u{1B}7\u{1B}[999;1H\u{1B}[2K\u{1B}8", to: handle)
    }

    /// Keeps the last row of the terminal free of scrolling text.
    func begin() {
        guard isShown else { return }
        try? Output.write("\n\u{1B}[1A", to: handle)
    }
}
