import Testing

@testable import MorphEval

@Suite("JSON")
struct JSONTests {
    private func parse(_ text: String) throws -> JSONValue {
        try Array(text.utf8).withUnsafeBufferPointer { try JSONParser.parse($0) }
    }

    @Test func values() throws {
        #expect(
            try parse(" [1, -2.5e1, true, false, null, \"\"] ")
                == .array([
                    .integer(1), .number(-25), .bool(true), .bool(false), .null, .string(""),
                ]))
        #expect(try parse("[Infinity, -Infinity]") == .array([.number(.infinity), .number(-.infinity)]))
        #expect(try parse("{}") == .object([]))
        #expect(try parse("123456789012345678901234567890") == .number(1.2345678901234568e29))
    }

    @Test("members keep their order, and the last of two with one name counts")
    func order() throws {
        let value = try parse(#"{"b": 1, "a": 2, "b": 3}"#)
        #expect(value.members?.map(\.name) == ["b", "a", "b"])
        #expect(value["b"] == .integer(3))
        #expect(value["c"] == nil)
    }

    @Test(
        "escapes",
        arguments: [
            (#""\n\t\"\\\/\b\f\r""#, "\n\t\"\\/\u{8}\u{C}\r"), (#""\u00e9\u4E2d""#, "é中"), (#""\ud83d\ude00""#, "😀"),
            (#""\ud83d""#, "\u{FFFD}"), (#""\ud83dx\ude00""#, "\u{FFFD}x\u{FFFD}"), (#""\ud83d\u0041""#, "\u{FFFD}A"),
            (#""e\u0301""#, "e\u{301}"),
        ])
    func escapes(_ text: String, _ expected: String) throws {
        #expect(try #require(parse(text).text).unicodeScalars.elementsEqual(expected.unicodeScalars))
    }

    @Test(
        "malformed documents are refused",
        arguments: [
            "", "[1,]", "{\"a\" 1}", "{a: 1}", "\"\\x\"", "\"\\u12g4\"", "\"\u{1}\"", "[1 2]", "nul", "1 2", "\"",
            "{\"a\":1", "1.2.3",
            String(repeating: "[", count: 600),
        ])
    func malformed(_ text: String) {
        #expect(throws: JSONSyntaxError.self) { try parse(text) }
    }

    @Test func invalidUTF8() {
        #expect(throws: JSONSyntaxError.self) {
            try ([0x22, 0xFF, 0x22] as [UInt8]).withUnsafeBufferPointer { try JSONParser.parse($0) }
        }
    }
}
