import Foundation
import Ggml
import TestSupport
import Testing

@Suite struct GgufWriterTests {
    private let folder: TemporaryFolder
    private var url: URL { folder.url.appendingPathComponent("a.gguf") }

    init() throws { folder = try TemporaryFolder() }

    @Test func everyKindOfMetadataComesBack() throws {
        let writer = GgufWriter()
        writer.set("text", "naïve 🦊")
        writer.set("empty", "")
        writer.set("integer", 4_000_000_000)
        writer.set("float", Float(-0.1))
        writer.set("yes", true)
        writer.set("no", false)
        writer.set("flags", [true, false, true])
        writer.set("floats", [1, -2.5] as [Float])
        writer.set("integers", [1, -2, .max] as [Int32])
        writer.set("texts", ["a", "", "c d"])
        try writer.write(to: url) { _, _ in }

        let file = try GgufFile(contentsOf: url)
        #expect(
            file.keys == [
                "text", "empty", "integer", "float", "yes", "no", "flags", "floats", "integers", "texts",
            ])
        #expect(try file.string("text") == "naïve 🦊")
        #expect(try file.string("empty") == "")
        #expect(try file.integer("integer") == 4_000_000_000)
        #expect(try file.float("float") == -0.1)
        #expect(try file.bool("yes") == true)
        #expect(try file.bool("no") == false)
        #expect(try file.integers("flags") == [1, 0, 1])
        #expect(try file.floatCount("floats") == 2)
        #expect(try file.integers("integers") == [1, -2, Int(Int32.max)])
        #expect(try file.stringCount("texts") == 3)
        var texts: [String] = []
        file.forEachString("texts") { texts.append(String(decoding: $0, as: UTF8.self)) }
        #expect(texts == ["a", "", "c d"])
    }

    @Test func aMissingKeyIsNilAndAWrongTypeIsAnErrorThatNamesTheKey() throws {
        var raw = RawGguf()
        raw["the.key"] = .list(of: 12, count: 1, littleEndian(Double(1).bitPattern))
        let file = try GgufFile(contentsOf: folder.write(raw.bytes, to: "b.gguf"))
        #expect(!file.contains("other"))
        #expect(try file.integer("other") == nil)
        #expect(try file.integers("other") == nil)
        #expect(try file.stringCount("other") == nil)
        let reads: [(GgufFile) throws -> Void] = [
            { _ = try $0.integer("the.key") }, { _ = try $0.float("the.key") }, { _ = try $0.bool("the.key") },
            { _ = try $0.string("the.key") }, { _ = try $0.integers("the.key") },
            { _ = try $0.stringCount("the.key") }, { _ = try $0.floatCount("the.key") },
        ]
        for read in reads {
            let error = #expect(throws: GgmlError.self) { try read(file) }
            #expect(error?.kind == .metadata)
            #expect(error?.description.contains("the.key") == true)
        }
        file.forEachString("the.key") { _ in Issue.record("there are no texts") }
    }

    @Test func wholeNumbersOfEveryWidthAreRead() throws {
        let values: [(RawGguf.Value, Int)] = [
            (.u8(200), 200), (.i8(-3), -3), (.u16(60_000), 60_000), (.i16(-5), -5), (.u32(.max), Int(UInt32.max)),
            (.i32(-7), -7), (.u64(1 << 62), 1 << 62), (.i64(.min), .min),
        ]
        var raw = RawGguf()
        for (index, value) in values.enumerated() { raw["key\(index)"] = value.0 }
        raw["double"] = .f64(0.5)
        raw["huge"] = .u64(.max)
        let file = try GgufFile(contentsOf: folder.write(raw.bytes, to: "b.gguf"))
        for (index, value) in values.enumerated() { #expect(try file.integer("key\(index)") == value.1) }
        #expect(try file.float("double") == 0.5)
        #expect(throws: GgmlError.self) { try file.integer("huge") }
    }

    @Test func tensorsOfEveryTypeComeBackByteByByte() throws {
        var random = SeededNumbers(1)
        let types = ElementType.all
        let writer = GgufWriter()
        var contents: [String: [UInt8]] = [:]
        for type in types {
            let shape = [2 * type.blockLength, 3]
            contents["\(type)"] = (0..<type.bytes(shape[0]) * 3).map { _ in UInt8.random(in: 0...255, using: &random) }
            writer.addTensor("\(type)", type, shape)
        }
        try writer.write(to: url) { name, write in
            // In two pieces, as a model larger than memory would come.
            let bytes = contents[name]!
            try bytes.prefix(5).withUnsafeBytes { try write($0) }
            try bytes.dropFirst(5).withUnsafeBytes { try write($0) }
        }

        let file = try GgufFile(contentsOf: url)
        let mapped = try MappedFile(url)
        #expect(file.tensors.count == types.count)
        #expect(file.fileBytes == mapped.bytes.count)
        for type in types {
            let info = try #require(file.tensors["\(type)"])
            #expect(info.type == type)
            #expect(info.shape == [2 * type.blockLength, 3])
            #expect(info.offset % 32 == 0)
            #expect(Array(mapped.bytes[info.offset..<info.offset + info.bytes]) == contents["\(type)"])
        }
    }

    @Test func aNewFileReplacesTheOldOneAndNothingElseStays() throws {
        let writer = GgufWriter()
        writer.set("a", 1)
        try writer.write(to: url) { _, _ in }
        let second = GgufWriter()
        second.set("a", 2)
        try second.write(to: url) { _, _ in }
        #expect(try GgufFile(contentsOf: url).integer("a") == 2)
        #expect(try folder.names == ["a.gguf"])
    }

    @Test func aFailureHalfWayLeavesTheOldFileAndNoPartOfTheNew() throws {
        struct Stop: Error {}
        let old = try folder.write([1, 2, 3], to: "a.gguf")
        let writer = GgufWriter()
        writer.addTensor("first", .f32, [4])
        writer.addTensor("second", .f32, [4])
        #expect(throws: Stop.self) {
            try writer.write(to: old) { name, write in
                if name == "second" { throw Stop() }
                try [Float](repeating: 1, count: 4).withUnsafeBytes { try write($0) }
            }
        }
        #expect(try Data(contentsOf: old) == Data([1, 2, 3]))
        #expect(try folder.names == ["a.gguf"])
    }

    @Test func aPlaceThatDoesNotExistIsAnErrorThatNamesIt() throws {
        let nowhere = folder.url.appendingPathComponent("none/a.gguf")
        let error = #expect(throws: GgmlError.self) { try GgufWriter().write(to: nowhere) { _, _ in } }
        #expect(error?.kind == .file)
        #expect(error?.description.contains("none/a.gguf") == true)
    }
}
