import Foundation
import MorphEval
import MorphKV
import TestSupport
import Testing

@Suite("Files of JSON lines")
struct JSONLinesFileTests {
    private static let start = #"{"id":"#
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ url: URL) throws -> JSONLinesFile { try JSONLinesFile(url, lineStart: Self.start) }

    private static func object(_ random: inout SplitMix64) -> JSONValue {
        let texts = ["", "a\"b\\c", "line\nbreak\u{1}", "naïve 東京 🙂", "}{\"id\":1}", "\u{2028}\r\n"]
        let members = (0..<Int(random.next() % 4)).map { index in
            JSONMember(name: "m\(index)\"", value: .string(texts[Int(random.next() % UInt64(texts.count))]))
        }
        return .object([JSONMember(name: "id", value: .integer(Int(random.next() % 1000)))] + members)
    }

    @Test("values read back as they were written")
    func roundTrip() throws {
        var random = SplitMix64(seed: 1)
        let url = folder.url.appending(path: "a.jsonl")
        let values = (0..<50).map { _ in Self.object(&random) }
        do {
            let file = try open(url)
            for value in values { try file.append(value) }
        }
        #expect(try open(url).records.map(\.value) == values)
    }

    @Test("cut off after any byte, a file loses its last line at most, and continues as if never interrupted")
    func repair() throws {
        var random = SplitMix64(seed: 2)
        let values = (0..<6).map { _ in Self.object(&random) }
        let lines = values.map { Array(($0.line + "\n").utf8) }
        let whole = lines.flatMap(\.self)
        for length in 0...whole.count {
            let url = folder.url.appending(path: "\(length).jsonl")
            try Data(whole.prefix(length)).write(to: url)
            let file = try open(url)
            let kept = file.records.map(\.value)
            // Whole lines stay, also the one that lacks nothing but its newline.
            var ends = 0
            let complete = lines.prefix { line in
                ends += line.count
                return ends - 1 <= length
            }.count
            #expect(kept == Array(values.prefix(complete)), "after \(length) bytes")
            for value in values.dropFirst(kept.count) { try file.append(value) }
            #expect(try Data(contentsOf: url) == Data(whole), "after \(length) bytes")
        }
    }

    @Test("bytes that a disk reserved but never wrote are dropped")
    func zeros() throws {
        let url = folder.url.appending(path: "a.jsonl")
        try Data(Array("{\"id\":1}\n".utf8) + [0, 0, 0, 0]).write(to: url)
        #expect(try open(url).records.count == 1)
        #expect(try Data(contentsOf: url).count == 9)
    }

    @Test("files of another kind stay as they are", arguments: ["my notes", "{\"id\":1}\nmy notes", "{\"key\":\"x"])
    func foreign(_ text: String) throws {
        let url = try folder.write(text, to: "notes.txt")
        #expect(throws: EvaluationError.self) { try open(url) }
        #expect(try String(contentsOf: url, encoding: .utf8) == text)
    }

    @Test("what a check refuses stays as it is")
    func check() throws {
        let url = try folder.write("{\"id\":1}\n{\"id", to: "a.jsonl")
        #expect(throws: EvaluationError.self) {
            try JSONLinesFile(url, lineStart: Self.start) { _ in throw EvaluationError(.differentRun, "no") }
        }
        #expect(try String(contentsOf: url, encoding: .utf8) == "{\"id\":1}\n{\"id")
    }

    @Test("a damaged line in the middle is an error that names it")
    func damage() throws {
        let url = try folder.write("{\"id\":1}\n{\"id\":\n{\"id\":3}\n", to: "a.jsonl")
        let error = #expect(throws: EvaluationError.self) { try open(url) }
        #expect(error?.kind == .format && error?.line == 2)
    }

    @Test("a file has one writer at a time")
    func lock() throws {
        let url = folder.url.appending(path: "a.jsonl")
        let first = try open(url)
        let error = #expect(throws: EvaluationError.self) { try open(url) }
        #expect(error?.description.contains("another process") == true)
        try first.append(.object([JSONMember(name: "id", value: .integer(1))]))
    }

    #if os(Linux)
    @Test("a full disk is an error")
    func fullDisk() throws {
        let file = try open(URL(filePath: "/dev/full"))
        let error = #expect(throws: EvaluationError.self) { try file.append(.object([])) }
        #expect(error?.kind == .file && error?.description.contains("No space left") == true)
    }
    #endif
}
