import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Damaged model files are refused with an explanation, or they run; the process survives either way.
@Suite struct HostileModelTests {
    /// What a damaged file is made of: a trained model, or one with random weights.
    struct Base: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: @Sendable () throws -> [UInt8]
    }

    static let stories = Base(testDescription: "stories260K") {
        [UInt8](try Data(contentsOf: Fixtures.stories))
    }
    static let small = [
        Base(testDescription: "SentencePiece") { try SmallVocabularies.sentencePiece().bytes },
        Base(testDescription: "byte pairs") { try SmallVocabularies.bytePair().bytes },
    ]

    private func expectRefusal(_ outcome: HostileFile.Outcome, _ comment: Comment) {
        if case .ran = outcome { Issue.record("was not refused: \(comment)") }
    }

    // MARK: Truncation

    @Test(arguments: small)
    func aTruncatedFileIsRefused(_ base: Base) async throws { try await truncate(base) }

    @Test func aTruncatedTrainedModelIsRefused() async throws { try await truncate(Self.stories) }

    private func truncate(_ base: Base) async throws {
        let bytes = try base.bytes()
        let file = try HostileFile(bytes, in: TestModels.folder)
        #expect(try await HostileFile.use(file.url) == .ran)
        for part in 0..<50 {
            let count = bytes.count * part / 50
            expectRefusal(try await file.outcome(truncatedTo: count), "\(count) of \(bytes.count) bytes")
        }
        expectRefusal(try await file.outcome(truncatedTo: bytes.count - 1), "all but one byte")
        #expect(try await HostileFile.use(file.url) == .ran)
    }

    // MARK: Flipped bytes

    @Test(arguments: small)
    func anyByteOfTheHeaderMayBeWrong(_ base: Base) async throws { try await flip(base, every: 400) }

    @Test func anyByteOfATrainedModelsHeaderMayBeWrong() async throws { try await flip(Self.stories, every: 2048) }

    /// Every byte of the beginning and 400 others, each in four ways.
    private func flip(_ base: Base, every: Int) async throws {
        let bytes = try base.bytes()
        let file = try HostileFile(bytes, in: TestModels.folder)
        let header = RawGguf(parsing: bytes).header.count
        let dense = min(every, header)
        var random = SplitMix64(seed: 11)
        let others = header > dense ? (0..<400).map { _ in Int.random(in: dense..<header, using: &random) } : []
        var ran = 0
        var refused = 0
        for offset in Array(0..<dense) + others {
            for byte in Set([bytes[offset] ^ 1, bytes[offset] ^ 0x80, 0, 0xFF]) where byte != bytes[offset] {
                switch try await file.outcome(replacing: offset, by: byte) {
                case .ran: ran += 1
                case .refused(let why):
                    refused += 1
                    #expect(!why.isEmpty)
                }
            }
        }
        // Both must happen, or the test does not test what it says.
        #expect(ran > 100 && refused > 100, "\(ran) ran, \(refused) were refused")
        #expect(try await HostileFile.use(file.url) == .ran)
    }

    @Test func weightsMayBeAnything() async throws {
        var raw = try SmallVocabularies.sentencePiece()
        var random = SplitMix64(seed: 12)
        for _ in 0..<20 {
            let factor = UInt8(truncatingIfNeeded: random.next())
            raw.data = raw.data.map { $0 &* factor &+ UInt8(truncatingIfNeeded: random.next() >> 60) }
            let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
            try Data(raw.bytes).write(to: url)
            defer { try? FileManager.default.removeItem(at: url) }
            _ = try await HostileFile.use(url)
        }
    }

    @Test("weights of every type run or are refused", arguments: ElementType.all)
    func weightsOfEveryType(_ type: ElementType) async throws {
        // Eight heads make all rows multiples of the longest blocks.
        let url = try TestModels.url(TestModels.shape("llama", queryHeads: 8))
        defer { try? FileManager.default.removeItem(at: url) }
        var raw = RawGguf(parsing: [UInt8](try Data(contentsOf: url)))
        var random = SplitMix64(seed: 13)
        raw.data = []
        for index in raw.tensors.indices {
            let extents = raw.tensors[index].extents.map(Int.init)
            if extents.count > 1 { raw.tensors[index].type = type.rawValue }
            raw.tensors[index].offset = UInt64(raw.data.count)
            let row = (extents.count > 1 ? type : .f32).bytes(extents[0])
            let bytes = row * extents.dropFirst().reduce(1, *)
            raw.data += (0..<(bytes + 31) / 32 * 32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
        try Data(raw.bytes).write(to: url)
        let outcome = try await HostileFile.use(url)
        if !type.isDequantizable { expectRefusal(outcome, "\(type)") }
    }

    // MARK: Wrong statements

    @Test(
        "a file that says something wrong is refused or runs",
        arguments: ["numbers", "general", "tensors", "tokenizer"])
    func wrongStatements(_ group: String) async throws {
        let changes = [
            "numbers": HostileChange.numbers, "general": HostileChange.general, "tensors": HostileChange.tensors,
            "tokenizer": HostileChange.tokenizer,
        ]
        let bases = [try SmallVocabularies.sentencePiece(), try SmallVocabularies.bytePair()]
        let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        defer { try? FileManager.default.removeItem(at: url) }
        for base in bases {
            for change in try #require(changes[group]) {
                var raw = base
                change.apply(&raw)
                try Data(raw.bytes).write(to: url)
                _ = try await HostileFile.use(url)
            }
        }
    }
}
