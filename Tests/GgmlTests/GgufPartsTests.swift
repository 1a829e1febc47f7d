import Foundation
import Ggml
import TestSupport
import Testing

@Suite struct GgufPartsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func part(_ number: Int, of count: Int = 3, tensors: [String], total: Int32 = 4) -> RawGguf {
        var raw = RawGguf()
        raw["split.no"] = .u16(UInt16(number - 1))
        raw["split.count"] = .u16(UInt16(count))
        raw["split.tensors.count"] = .i32(total)
        raw.tensors = tensors.enumerated().map { RawGguf.Tensor($1, extents: [8], offset: UInt64(32 * $0)) }
        raw.data = tensors.flatMap { [UInt8](repeating: $0.utf8.first!, count: 32) }
        return raw
    }

    /// A model of three parts, the second without tensors' names that others have.
    private func good() -> [RawGguf] {
        [part(1, tensors: ["a", "b"]), part(2, tensors: ["c"]), part(3, tensors: ["d"])]
    }

    /// Writes parts under the names that they should have, and returns the first one's place.
    private func write(_ parts: [RawGguf], _ name: String = UUID().uuidString) throws -> URL {
        for (index, part) in parts.enumerated() {
            _ = try folder.write(part.bytes, to: "\(name)-0000\(index + 1)-of-00003.gguf")
        }
        return folder.url.appending(path: "\(name)-00001-of-00003.gguf")
    }

    private func problem(_ change: (inout [RawGguf]) -> Void) throws -> String {
        var parts = good()
        change(&parts)
        let first = try write(parts)
        let error = #expect(throws: GgmlError.self) { try GgufFile(contentsOf: first) }
        return error?.description ?? ""
    }

    @Test func tensorsOfAllPartsAreFoundWhereTheFileIsMapped() throws {
        let file = try GgufFile(contentsOf: write(good()))
        #expect(Set(file.tensors.keys) == ["a", "b", "c", "d"])
        #expect(file.urls.count == 3)
        let mapping = try file.map()
        for (name, tensor) in file.tensors {
            let bytes = mapping.bytes[tensor.offset..<tensor.offset + tensor.bytes]
            #expect(bytes.count == 32 && bytes.allSatisfy { $0 == name.utf8.first })
        }
    }

    @Test func anotherPartThanTheFirstIsAnErrorThatNamesTheFirst() throws {
        _ = try write(good(), "x")
        let error = #expect(throws: GgmlError.self) {
            try GgufFile(contentsOf: folder.url.appending(path: "x-00002-of-00003.gguf"))
        }
        #expect(error?.description.contains("part 2 of 3") == true)
        #expect(error?.description.contains("x-00001-of-00003.gguf") == true)
    }

    @Test func aPartThatIsMissingIsNamed() throws {
        #expect(try problem { $0.removeLast() }.contains("-00003-of-00003.gguf cannot be opened"))
    }

    @Test func partsThatDoNotBelongTogetherAreRefused() throws {
        #expect(try problem { $0.swapAt(1, 2) }.contains("does not say that it is part 2 of 3"))
        #expect(try problem { $0[2]["split.count"] = .u16(4) }.contains("does not say that it is part 3 of 3"))
        #expect(try problem { $0[2]["split.no"] = nil }.contains("does not say that it is part 3 of 3"))
        #expect(try problem { $0[1] = part(2, tensors: ["a"]) }.contains("tensor a is in an earlier part too"))
        #expect(try problem { $0[0]["split.tensors.count"] = .i32(5) }.contains("4 tensors, not 5"))
        #expect(try problem { $0[0]["split.count"] = .u16(2) }.contains("its name does not say so"))
        #expect(try problem { $0[0]["split.no"] = .u64(.max >> 1) }.contains("its name does not say so"))
    }

    @Test func aPartCutOffAnywhereIsRefused() throws {
        let first = try write(good())
        let last = URL(filePath: first.path.replacing("-00001-of", with: "-00003-of"))
        let bytes = try Data(contentsOf: last)
        for count in 0..<bytes.count {
            try bytes.prefix(count).write(to: last)
            #expect(throws: GgmlError.self, "\(count) bytes") { try GgufFile(contentsOf: first) }
        }
    }

    @Test func aFolderOrAPipeInPlaceOfAFileIsNamed() throws {
        let pipe = folder.url.appending(path: "pipe")
        #expect(mkfifo(pipe.path, 0o600) == 0)
        for url in [folder.url, pipe] {
            let error = #expect(throws: GgmlError.self) { try GgufFile(contentsOf: url) }
            #expect(error?.description == "\(url.path) cannot be read: it is not a file")
        }
    }
}
