internal import Foundation

/// A JSON or JSON Lines file, read whole, whose errors name the file and the line.
struct DataFile: Sendable {
    let url: URL
    private let bytes: Data

    init(_ url: URL) throws {
        self.url = url
        do {
            bytes = try Data(contentsOf: url, options: .mappedIfSafe)
        } catch {
            let exists = FileManager.default.fileExists(atPath: url.path)
            throw EvaluationError(.file, file: url, exists ? "it cannot be read" : "it does not exist")
        }
    }

    /// Takes bytes that were read from a file.
    init(_ url: URL, bytes: Data) {
        self.url = url
        self.bytes = bytes
    }

    /// The whole file as one JSON document.
    func document() throws -> JSONRecord {
        try parse(bytes.startIndex..<bytes.endIndex, line: nil)
    }

    /// The non-empty lines of the file, each a JSON document.
    func lines() throws -> [JSONRecord] {
        var records: [JSONRecord] = []
        var start = bytes.startIndex
        var line = 1
        while start < bytes.endIndex {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
            if !bytes[start..<end].allSatisfy({ Unicode.Scalar($0).isPythonSpace }) {
                records.append(try parse(start..<end, line: line))
            }
            start = min(end + 1, bytes.endIndex)
            line += 1
        }
        return records
    }

    /// One JSON document holding a list, or one JSON document a line.
    func records() throws -> [JSONRecord] {
        let first = bytes.first { !Unicode.Scalar($0).isPythonSpace }
        guard first == UInt8(ascii: "[") else { return try lines() }
        return try document().elements()
    }

    private func parse(_ range: Range<Int>, line: Int?) throws -> JSONRecord {
        do {
            let value = try bytes[range].withUnsafeBytes { buffer in
                try JSONParser.parse(buffer.bindMemory(to: UInt8.self))
            }
            return JSONRecord(url: url, line: line, value: value)
        } catch let error as JSONSyntaxError {
            let newlines = bytes[range].prefix(error.offset).count { $0 == UInt8(ascii: "\n") }
            throw EvaluationError(.format, file: url, line: (line ?? 1) + newlines, "not valid JSON: \(error.problem)")
        }
    }
}
