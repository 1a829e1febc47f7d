/// Joins the bytes of successive tokens into text, holding back what may still change.
///
/// Every piece is valid UTF-8: the bytes of an unfinished character wait for the next token. Text that may be the
/// beginning of a stop string waits too, so that a stop string never appears, not even in part.
package struct TextStream {
    private var bytes: [UInt8] = []
    private let stops: [[UInt8]]
    /// The stop string that has appeared; nothing follows it.
    package private(set) var stop: String?
    /// Whether a stop string has appeared.
    package var isStopped: Bool { stop != nil }

    package init(stops: [String] = []) { self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty } }

    /// Adds a token's bytes and returns the text that is certain by now.
    package mutating func append(_ new: [UInt8]) -> String {
        guard !isStopped else { return "" }
        bytes += new
        if let position = firstStop() {
            let found = stops.first { bytes[position...].starts(with: $0) } ?? []
            stop = String(decoding: found, as: UTF8.self)
            bytes.removeSubrange(position...)
            return finish()
        }
        return take(certainCount())
    }

    /// Returns what was held back; bytes that never became a character turn into U+FFFD.
    package mutating func finish() -> String {
        defer { bytes = [] }
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func take(_ count: Int) -> String {
        defer { bytes.removeFirst(count) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    private func firstStop() -> Int? {
        bytes.indices.first { start in stops.contains { bytes[start...].starts(with: $0) } }
    }

    private func certainCount() -> Int {
        let complete = bytes.count - unfinishedCharacter()
        let beginning = (0..<complete).first { start in
            stops.contains { $0.starts(with: bytes[start...]) }
        }
        return beginning ?? complete
    }

    /// The number of bytes at the end that are the beginning of a longer character.
    private func unfinishedCharacter() -> Int {
        for back in 1...4 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            if byte & 0b1100_0000 == 0b1000_0000 { continue }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return length > back ? back : 0
        }
        return 0
    }
}
