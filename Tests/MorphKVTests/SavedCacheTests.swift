import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Contexts and sessions that outlive the process.
@Suite struct SavedCacheTests {
    @Test("a context that was read back is the one that was saved", arguments: CacheType.allCases)
    func contextsComeBack(_ type: CacheType) async throws {
        let model = try TestContexts.model()
        var context = try TestContexts.make(model, type: type)
        try context.compress(TestContexts.compression(0.4), threads: 1)
        let url = TestContexts.temporaryFile()
        try context.save(to: url)
        var loaded = try CompressedContext(contentsOf: url, model: model)
        #expect(loaded.statistics == context.statistics && loaded.tokens == context.tokens)
        #expect(loaded.keptPositions == context.keptPositions && loaded.systemTokens == 4)
        #expect(try TestContexts.bytes(loaded) == Data(contentsOf: url))
        for seed in 0..<3 {
            #expect(try await TestContexts.ask(loaded, UInt64(seed)) == TestContexts.ask(context, UInt64(seed)))
        }
        // The scores are part of the file.
        try loaded.compress(TestContexts.compression(0.2), threads: 1)
        try context.compress(TestContexts.compression(0.2), threads: 1)
        #expect(loaded.keptPositions == context.keptPositions)
    }

    @Test func wholeContextsAndStreamingHeadsComeBack() async throws {
        let model = try TestContexts.model("gemma3")
        var context = try TestContexts.make(model, tokens: 200)
        for step in 0..<2 {
            let url = TestContexts.temporaryFile()
            try context.save(to: url)
            let loaded = try CompressedContext(contentsOf: url, model: model)
            #expect(loaded.isWhole == context.isWhole && loaded.cache.streaming == context.cache.streaming)
            #expect(try await TestContexts.ask(loaded, 1) == TestContexts.ask(context, 1))
            if step == 0 {
                try context.compress(TestContexts.compression(0.5, .head(sinks: 4, recent: 20)), threads: 1)
            }
        }
    }

    struct Saved: Sendable, CustomTestStringConvertible {
        let policy: String
        let attention: CacheOptions.AttentionPath
        var testDescription: String { "\(policy) \(attention.rawValue)" }
    }

    static let saved: [Saved] =
        PolicyRegistry.standard.descriptors.map(\.name).flatMap { name in
            name == "adakv" || name == "kvzip"
                ? [Saved(policy: name, attention: .fused)]
                : [Saved(policy: name, attention: .fused), Saved(policy: name, attention: .graph)]
        }
        + [
            "morphkv:capacity=24,window=6,fusion=max", "morphkv:capacity=24,window=6,evictAfter=2",
            "augur:capacity=24,window=6,budgets=head", "augur:capacity=24,window=6,lambda=0",
            "h2o:capacity=24,window=6,budgets=head", "keydiff:capacity=24,window=6,budgets=head",
            "streaming:capacity=24,budgets=head", "morphkv:reference,capacity=24,window=6",
            "tova:capacity=24,heads=layer",
            "streaming:capacity=24,sinks=2,prompt=0.5", "h2o:capacity=24,window=6,prompt=0.5",
        ].map { Saved(policy: $0, attention: .fused) }

    @Test("a session saved in the middle of a generation continues bit for bit", arguments: saved)
    func sessionsComeBack(_ test: Saved) async throws {
        let model = try TestContexts.model("gemma3")
        let policy =
            test.policy.contains(":")
            ? try PolicyRegistry.standard.policy(test.policy)
            : try PolicyMatrixTests.Case(policy: test.policy, queryHeads: 4, kvHeads: 2, type: .f32).make(capacity: 24)
        let options = CacheOptions(policy: policy, elementType: .f32, attention: test.attention)
        // Before anything, after a prompt, and at several places of a generation.
        for tokens in [0, 1, 30, 47] {
            let session = try Session(model, cache: options, threads: 1)
            var prompt = TestModels.tokens(40, seed: 3)
            if tokens > 0 {
                _ = try await SessionTests.tokens(
                    session.generate(tokens: prompt, options: .init(maxTokens: tokens - 1)))
                prompt = []
            }
            let url = TestContexts.temporaryFile()
            defer { try? FileManager.default.removeItem(at: url) }
            try await session.save(to: url)
            let loaded = try Session(contentsOf: url, model: model, threads: 1)
            #expect(await loaded.state == session.state)
            for _ in 0..<2 {
                let rest = GenerationOptions(maxTokens: 25)
                let expected = try await SessionTests.tokens(session.generate(tokens: prompt, options: rest))
                #expect(try await SessionTests.tokens(loaded.generate(tokens: prompt, options: rest)) == expected)
                prompt = TestModels.tokens(5, seed: 6)
            }
            #expect(await loaded.state == session.state)
        }
    }

    @Test("a session over a context comes back with it")
    func sessionsOverContextsComeBack() async throws {
        let model = try TestContexts.model(queryHeads: 8, kvHeads: 4)
        var context = try TestContexts.make(model)
        try context.compress(TestContexts.compression(0.5, .head(sinks: 2, recent: 16)), threads: 1)
        for policy: any CachePolicy in [FullPolicy(), MorphKVPolicy(capacity: 24, window: 6)] {
            let session = try Session(context, policy: policy, threads: 1)
            _ = try await SessionTests.tokens(
                session.generate(tokens: TestModels.tokens(300, seed: 9), options: .init(maxTokens: 20)))
            let url = TestContexts.temporaryFile()
            try await session.save(to: url)
            let loaded = try Session(contentsOf: url, model: model, threads: 1)
            #expect(await loaded.state == session.state)
            let rest = GenerationOptions(maxTokens: 25)
            let expected = try await SessionTests.tokens(session.generate(tokens: [], options: rest))
            #expect(try await SessionTests.tokens(loaded.generate(tokens: [], options: rest)) == expected)
            #expect(await loaded.state == session.state)
        }
    }

    @Test(
        "a session goes on under its own calibration only; files of before do not name it",
        arguments: ["augur:capacity=24,window=6", "h2o:capacity=24,window=6,budgets=layer"])
    func calibrationsAreCompared(_ policy: String) async throws {
        let model = try TestContexts.model()
        func with(seed: UInt64) throws -> Model {
            let url = TestContexts.temporaryFile()
            try TestCalibrations.random(for: model, seed: seed).write(to: url)
            return try Model(contentsOf: model.url, calibration: url)
        }
        let session = try Session(
            model, cache: CacheOptions(policy: PolicyRegistry.standard.policy(policy)), threads: 1)
        _ = try await SessionTests.tokens(session.generate(tokens: [1, 2, 3], options: .init(maxTokens: 40)))
        let url = TestContexts.temporaryFile()
        try await session.save(to: url)
        let other = try with(seed: 6)
        let again = try Session(contentsOf: url, model: with(seed: 5), threads: 1)
        #expect(await again.state == session.state)
        let error = #expect(throws: CacheError.self) { try Session(contentsOf: url, model: other, threads: 1) }
        #expect(error?.kind == .calibration && error?.description.contains("another calibration") == true)
        var raw = try #require(RawCacheFile(Data(contentsOf: url)))
        let key = try #require(raw.data.range(of: Data("morphkv.calibration".utf8)))
        raw.data.replaceSubrange(key, with: Data("morphkv.something_el".utf8.prefix(key.count)))
        _ = try Session(contentsOf: Self.write(raw.sealed), model: other, threads: 1)
    }

    // MARK: Files that are not what they should be

    private static func kind(_ body: () throws -> Void) -> SavedCacheError.Kind? {
        do {
            try body()
            return nil
        } catch { return (error as? SavedCacheError)?.kind }
    }

    private static func write(_ data: Data) throws -> URL {
        let url = TestContexts.temporaryFile()
        try data.write(to: url)
        return url
    }

    @Test("another model, another kind of file, and a newer version are named")
    func wrongFilesAreNamed() async throws {
        let (model, other) = (try TestContexts.model(), try TestContexts.model(kvHeads: 4))
        let context = try TestContexts.make(model, tokens: 40)
        let url = TestContexts.temporaryFile()
        try context.save(to: url)
        #expect(Self.kind { _ = try CompressedContext(contentsOf: url, model: other) } == .otherModel)
        #expect(Self.kind { _ = try Session(contentsOf: url, model: model) } == .notACache)
        #expect(Self.kind { _ = try CompressedContext(contentsOf: model.url, model: model) } == .notACache)
        let seeded = try Model(contentsOf: TestModels.url(TestModels.shape("llama"), seed: 4))
        #expect(Self.kind { _ = try CompressedContext(contentsOf: url, model: seeded) } == .otherModel)
        var raw = try #require(RawCacheFile(Data(contentsOf: url)))
        raw.replace("morphkv.version", bytes: UInt32(CacheFile.version + 1))
        #expect(
            Self.kind { _ = try CompressedContext(contentsOf: Self.write(raw.data), model: model) } == .newerVersion)
    }

    @Test("a file that is cut off or altered anywhere is refused")
    func damagedFilesAreRefused() async throws {
        let model = try TestContexts.model()
        let context = try TestContexts.make(model, tokens: 40)
        let data = try TestContexts.bytes(context)
        for length in stride(from: 0, to: data.count, by: max(1, data.count / 97)) + [data.count - 1, data.count - 32] {
            let url = try Self.write(data.prefix(length))
            #expect(throws: (any Error).self) { try CompressedContext(contentsOf: url, model: model) }
            if length > 0 {
                #expect(Self.kind { _ = try CompressedContext(contentsOf: url, model: model) } == .damaged)
            }
            try FileManager.default.removeItem(at: url)
        }
        for offset in stride(from: 4, to: data.count - 32, by: max(1, data.count / 211)) {
            var altered = data
            altered[offset] ^= 0x10
            let url = try Self.write(altered)
            #expect(throws: (any Error).self) { try CompressedContext(contentsOf: url, model: model) }
            try FileManager.default.removeItem(at: url)
        }
    }

    @Test(
        "numbers that contradict each other are refused though the checksum is right",
        arguments: [
            ("morphkv.system", UInt32(41)), ("morphkv.whole", 7), ("morphkv.key_type", 0), ("morphkv.version", 0),
            ("morphkv.entries", UInt32.max), ("morphkv.entries", 39), ("morphkv.entries", 1 << 30),
            ("morphkv.tokens", 100_000), ("morphkv.tokens", UInt32.max),
        ])
    func contradictionsAreRefused(_ key: String, _ value: UInt32) async throws {
        let model = try TestContexts.model()
        let url = TestContexts.temporaryFile()
        try TestContexts.make(model, tokens: 40).save(to: url)
        var raw = try #require(RawCacheFile(Data(contentsOf: url)))
        raw.replace(key, bytes: value)
        #expect(Self.kind { _ = try CompressedContext(contentsOf: Self.write(raw.sealed), model: model) } == .damaged)
    }

    @Test(
        "tensors with impossible positions are refused though the checksum is right",
        arguments: [
            Float.nan, .infinity, -5, 1e9, 0.5,
        ])
    func impossiblePositionsAreRefused(_ position: Float) async throws {
        let model = try TestContexts.model()
        let url = TestContexts.temporaryFile()
        try TestContexts.make(model, tokens: 40).save(to: url)
        var raw = try #require(RawCacheFile(Data(contentsOf: url)))
        let file = try GgufFile(contentsOf: url)
        raw.data.replace(at: try #require(file.tensors["frozen.1.positions"]).offset + 8, with: position.bitPattern)
        #expect(Self.kind { _ = try CompressedContext(contentsOf: Self.write(raw.sealed), model: model) } == .damaged)
        // And in a session's slots.
        let session = try Session(
            model, cache: CacheOptions(policy: MorphKVPolicy(capacity: 24, window: 6)), threads: 1)
        _ = try await SessionTests.tokens(session.generate(tokens: [1, 2, 3], options: .init(maxTokens: 4)))
        try await session.save(to: url)
        raw = try #require(RawCacheFile(Data(contentsOf: url)))
        let saved = try GgufFile(contentsOf: url)
        raw.data.replace(at: try #require(saved.tensors["live.1.0.positions"]).offset, with: position.bitPattern)
        #expect(Self.kind { _ = try Session(contentsOf: Self.write(raw.sealed), model: model) } == .damaged)
    }

    @Test func aFileIsReplacedOnlyByAWholeOne() throws {
        let model = try TestContexts.model()
        let context = try TestContexts.make(model, tokens: 40)
        #expect { try context.save(to: URL(fileURLWithPath: "/dev/full/context.gguf")) } throws: {
            ($0 as? GgmlError)?.kind == .file
        }
        #expect { try CompressedContext(contentsOf: URL(fileURLWithPath: "/nonexistent.gguf"), model: model) } throws: {
            ($0 as? GgmlError)?.kind == .file
        }
    }
}

/// A saved cache as bytes that can be changed and sealed again.
struct RawCacheFile {
    var data: Data

    init?(_ data: Data) {
        guard data.count > 64 else { return nil }
        self.data = data
    }

    /// Overwrites the first four bytes of the value, or of the first element of the list, under a key.
    mutating func replace(_ key: String, bytes value: UInt32) {
        guard let range = data.range(of: Data(key.utf8)) else { return }
        let type = data.integer(at: range.upperBound)
        // A list has the type and number of its elements in front, a text its length.
        let offset = range.upperBound + (type == 9 ? 16 : 4)
        data.replace(at: offset, with: value)
    }

    /// The bytes with the checksum that they should have.
    var sealed: Data {
        var copy = data
        var checksum = Checksum()
        let content = data.prefix(data.count - 32)
        Array(content).withUnsafeBytes { checksum.add($0) }
        copy.replace(at: data.count - 32, with: UInt32(truncatingIfNeeded: checksum.value))
        copy.replace(at: data.count - 28, with: UInt32(truncatingIfNeeded: checksum.value >> 32))
        return copy
    }
}

extension Data {
    func integer(at offset: Int) -> UInt32 {
        withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    }

    mutating func replace(at offset: Int, with value: UInt32) {
        replaceSubrange(offset..<offset + 4, with: Swift.withUnsafeBytes(of: value.littleEndian) { Data($0) })
    }
}

func + (stride: StrideTo<Int>, more: [Int]) -> [Int] { Array(stride) + more }
