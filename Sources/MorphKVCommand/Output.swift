internal import ArgumentParser
internal import Foundation

/// Reading what the user hands over.
enum Input {
    /// The text of a file, or of standard input if there is none.
    ///
    /// - Throws: an error that names the file if it cannot be read or is not UTF-8.
    static func text(ofFile path: String?) throws -> String {
        let data = try path.map(data(ofFile:)) ?? FileHandle.standardInput.readToEnd() ?? Data()
        guard let text = String(data: data, encoding: .utf8) else {
            throw ValidationError("\(path ?? "standard input") is not valid UTF-8")
        }
        return text
    }

    private static func data(ofFile path: String) throws -> Data {
        do { return try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw ValidationError("\(path) cannot be read: \(error.localizedDescription)")
        }
    }
}

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

    /// Writes a whole file and says so on standard error.
    static func save(_ text: String, to path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        try write("\(path) written\n", to: .standardError)
    }

    /// This call, as a shell would read it again.
    static var command: String {
        (["morphkv"] + CommandLine.arguments.dropFirst()).map { word in
            let isPlain =
                !word.isEmpty
                && word.unicodeScalars.allSatisfy {
                    $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_./:=,+@%".unicodeScalars.contains($0)
                }
            return isPlain ? word : "'" + word.replacing("'", with: #"'\''"#) + "'"
        }.joined(separator: " ")
    }

    static func isTerminal(_ handle: FileHandle) -> Bool { isatty(handle.fileDescriptor) == 1 }

    /// The slots that a head uses at most, for people: "20 of 64", or "up to 20 of 12 to 140" where heads differ.
    static func slots(used: Int, of slots: ClosedRange<Int>) -> String {
        slots.count == 1
            ? "\(used) of \(slots.upperBound)" : "up to \(used) of \(slots.lowerBound) to \(slots.upperBound)"
    }

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

/// One line at the bottom of the terminal that is rewritten as the work goes on, while text scrolls above it.
struct StatusLine {
    private let handle = FileHandle.standardError
    private let rows: Int
    private var lastUpdate = ContinuousClock.now - .seconds(1)

    /// - Parameter isShown: whether there is a terminal to show it on.
    init(isShown: Bool) {
        var size = winsize()
        rows = isShown && ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 ? Int(size.ws_row) : 0
        guard rows > 2 else { return }
        // Make room for the line, then let everything above it scroll.
        send("\n\u{1B}[1A\u{1B}7\u{1B}[1;\(rows - 1)r\u{1B}8")
        signal(SIGINT) { _ in
            // Only what is safe in a signal handler: give the row back and end.
            let reset: StaticString = "\u{1B}7\u{1B}[r\u{1B}8\n"
            _ = write(STDERR_FILENO, reset.utf8Start, reset.utf8CodeUnitCount)
            _exit(130)
        }
    }

    /// Whether there is a terminal that can show it.
    var isShown: Bool { rows > 2 }

    /// Replaces the line, ten times a second at most.
    mutating func show(_ text: @autoclosure () -> String) {
        guard rows > 2, ContinuousClock.now - lastUpdate > .milliseconds(100) else { return }
        lastUpdate = .now
        send("\u{1B}7\u{1B}[\(rows);1H\u{1B}[2K\u{1B}[7m \(text()) \u{1B}[0m\u{1B}8")
    }

    /// Removes the line and gives its row back.
    func clear() {
        guard rows > 2 else { return }
        send("\u{1B}7\u{1B}[\(rows);1H\u{1B}[2K\u{1B}[r\u{1B}8")
    }

    private func send(_ text: String) { try? Output.write(text, to: handle) }
}
