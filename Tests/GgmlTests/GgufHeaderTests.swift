import Foundation
import Ggml
import TestSupport
import Testing

@Suite struct GgufHeaderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// One key of each kind and two tensors.
    private static var good: RawGguf {
        var raw = RawGguf()
        raw["general.alignment"] = .u32(32)
        raw["text"] = .text("abc")
        raw["flag"] = .bool(1)
        raw["long"] = .u64(7)
        raw["numbers"] = .integers([1, 2, 3])
        raw["texts"] = .texts([[0x61], [], [0x62, 0x63]])
        raw.tensors = [RawGguf.Tensor("a", extents: [4, 2]), RawGguf.Tensor("b", extents: [8], offset: 32)]
        raw.data = [UInt8](repeating: 0, count: 64)
        return raw
    }

    private func read(_ bytes: [UInt8]) throws -> GgufFile {
        try GgufFile(contentsOf: folder.write(bytes, to: "\(UUID().uuidString).gguf"))
    }

    /// Changes a good file and returns the error's text.
    private func problem(_ change: (inout RawGguf) -> Void) throws -> String {
        var raw = Self.good
        change(&raw)
        let error = #expect(throws: GgmlError.self) { try read(raw.bytes) }
        return error?.description ?? ""
    }

    @Test func aGoodFileIsRead() throws {
        let file = try read(Self.good.bytes)
        #expect(file.keys.count == 6)
        #expect(file.tensors.mapValues(\.shape) == ["a": [4, 2], "b": [8]])
    }

    @Test func aFileCutOffAnywhereIsRefused() throws {
        let bytes = Self.good.bytes
        for count in 0..<bytes.count {
            #expect(throws: GgmlError.self, "\(count) bytes") { try read(Array(bytes.prefix(count))) }
        }
    }

    @Test func anyByteOfTheHeaderMayBeWrong() throws {
        let raw = Self.good
        let bytes = raw.bytes
        for offset in raw.header.indices {
            for byte in [bytes[offset] ^ 1, bytes[offset] ^ 0x80, 0, 0xFF] {
                var changed = bytes
                changed[offset] = byte
                do {
                    let file = try read(changed)
                    for key in file.keys { _ = try? file.integers(key) ?? [] }
                } catch is GgmlError {
                    // Refused with an explanation; anything else fails the test.
                }
            }
        }
    }

    @Test func keysMustBeThereAndDiffer() throws {
        #expect(try problem { $0.keys.append(([], .u32(1))) }.contains("a key is empty"))
        #expect(try problem { $0.keys.append((Array("text".utf8), .u32(1))) }.contains("'text' appears twice"))
    }

    @Test func valuesMustHaveAKnownType() throws {
        #expect(try problem { $0["odd"] = .init(type: 13, payload: [0]) }.contains("'odd' has the unknown type 13"))
        #expect(try problem { $0["odd"] = .list(of: 99, count: 1, [0]) }.contains("'odd' has the unknown type 99"))
        #expect(try problem { $0["odd"] = .list(of: 9, count: 1, [0]) }.contains("'odd' is a list of lists"))
    }

    @Test(arguments: [1000, UInt64(1) << 40, 1 << 62, 1 << 63, .max])
    func countsBeyondTheFileAreRefused(_ count: UInt64) throws {
        #expect(try problem { $0.claimedKeyCount = count }.contains("number of keys"))
        #expect(try problem { $0.claimedTensorCount = count }.contains("number of tensors"))
        for type: UInt32 in [0, 4, 8, 12] {
            let text = try problem {
                $0["list"] = .init(type: 9, payload: littleEndian(type) + littleEndian(count))
            }
            #expect(!text.isEmpty)
        }
        #expect(try problem { $0["text"] = .init(type: 8, payload: littleEndian(count)) }.contains("length of a text"))
    }

    @Test func tensorsMustHaveASensibleShape() throws {
        let bad: [[UInt64]] = [
            [], [0], [4, 0], [.max], [1 << 32, 1 << 32], [1 << 20, 1 << 20, 1 << 20], [1, 1, 1, 1, 1],
        ]
        for extents in bad {
            #expect(try problem { $0.withTensor("a") { $0.extents = extents } }.contains("'a'"), "\(extents)")
        }
    }

    @Test func tensorsMustHaveAKnownTypeWhoseBlocksDivideTheRows() throws {
        for type: UInt32 in [4, 5, 1000, .max] {
            #expect(try problem { $0.withTensor("a") { $0.type = type } }.contains("unknown type \(type)"))
        }
        #expect(try !problem { $0.withTensor("a") { $0.type = ElementType.q8_0.rawValue } }.isEmpty)
    }

    @Test func tensorsMustLieInTheFileUnderNamesThatDiffer() throws {
        #expect(try problem { $0.data.removeLast() }.contains("truncated"))
        for offset: UInt64 in [1, 64, 1 << 40, 1 << 63, .max] {
            #expect(try !problem { $0.withTensor("b") { $0.offset = offset } }.isEmpty)
        }
        #expect(try !problem { $0.withTensor("b") { $0.name = Array("a".utf8) } }.isEmpty)
        #expect(try problem { $0.withTensor("b") { $0.name = [] } }.contains("no name"))
        #expect(try !problem { $0.withTensor("b") { $0.name = [UInt8](repeating: 0x61, count: 64) } }.isEmpty)
    }

    @Test func theAlignmentMustBeAPowerOfTwo() throws {
        let bad: [RawGguf.Value] = [.u32(0), .u32(4), .u32(48), .u64(32), .text("32"), .f32(32), .integers([32])]
        for value in bad { #expect(try problem { $0["general.alignment"] = value }.contains("general.alignment")) }
    }

    @Test func otherVersionsAndOtherFilesAreRefused() throws {
        for version: UInt32 in [0, 1, 4, 0x0300_0000, .max] {
            #expect(try problem { $0.version = version }.contains("version \(version)"))
        }
        #expect(try problem { $0.magic = Array("GGML".utf8) }.contains("does not begin"))
        #expect(throws: GgmlError.self) { try read([]) }
        #expect(throws: GgmlError.self) { try GgufFile(contentsOf: folder.url) }
    }
}
