import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Token ids in the files of sessions.
@Suite struct SavedTokensTests {
    private let model: Model
    private let prompt = TestModels.tokens(40, seed: 3)

    init() throws { model = try TestContexts.model() }

    /// A session that has written some tokens, and everything that led there.
    private func session(_ policy: String) async throws -> (Session, history: [Token]) {
        let options = CacheOptions(policy: try PolicyRegistry.standard.policy(policy), elementType: .f32)
        let session = try Session(model, cache: options, threads: 1)
        let answer = try await SessionTests.tokens(session.generate(tokens: prompt, options: .init(maxTokens: 20)))
        return (session, prompt + answer)
    }

    private func saved(_ session: Session, _ history: [Token] = []) async throws -> RawCacheFile {
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try await session.save(to: url, tokens: history)
        return try #require(RawCacheFile(Data(contentsOf: url)))
    }

    private func load(_ data: Data) throws -> Session {
        let url = TestContexts.temporaryFile()
        defer { try? FileManager.default.removeItem(at: url) }
        try data.write(to: url)
        return try Session(contentsOf: url, model: model, threads: 1)
    }

    private func kind(_ data: Data) -> SavedCacheError.Kind? {
        do {
            _ = try load(data)
            return nil
        } catch { return (error as? SavedCacheError)?.kind }
    }

    @Test(
        "the history that a session was saved with comes back, also under a policy of constant size",
        arguments: ["full", "morphkv:capacity=24,window=6"])
    func historiesComeBack(_ policy: String) async throws {
        let (session, history) = try await session(policy)
        #expect(session.savedTokens == [])
        for tokens in [history, Array(history.suffix(5)), []] {
            let loaded = try await load(saved(session, tokens).data)
            #expect(loaded.savedTokens == tokens)
            #expect(await loaded.state == session.state)
        }
    }

    @Test("a history behind a context may begin with the context's tokens")
    func historiesBehindContexts() async throws {
        let context = try TestContexts.make(model)
        let session = try Session(context, policy: StreamingPolicy(capacity: 16, sinks: 0), threads: 1)
        let answer = try await SessionTests.tokens(session.generate(tokens: prompt, options: .init(maxTokens: 5)))
        let history = context.tokens + prompt + answer
        #expect(try await load(saved(session, history).data).savedTokens == history)
    }

    @Test func aHistoryThatCannotBeTrueIsNotSaved() async throws {
        let (session, history) = try await session("full")
        let url = TestContexts.temporaryFile()
        for (tokens, kind) in [([Token(-1)], CacheError.Kind.invalidToken), ([1, 1 << 20], .invalidToken)] {
            await #expect { try await session.save(to: url, tokens: tokens) } throws: {
                ($0 as? CacheError)?.kind == kind
            }
        }
        await #expect { try await session.save(to: url, tokens: history + [1]) } throws: {
            ($0 as? GenerationError)?.kind == .invalidOption
        }
        #expect(!FileManager.default.fileExists(atPath: url.path))
    }

    @Test func aHistoryThatWasAlteredIsRefused() async throws {
        let (session, history) = try await session("morphkv:capacity=24,window=6")
        for outside in [UInt32.max, 1 << 20] {
            var raw = try await saved(session, history)
            raw.replace("morphkv.tokens", bytes: outside)
            #expect(kind(raw.sealed) == .damaged)
        }
        // Another token of the vocabulary is found by the checksum alone.
        var raw = try await saved(session, history)
        raw.replace("morphkv.tokens", bytes: UInt32(history[0]) ^ 1)
        #expect(kind(raw.data) == .damaged && kind(raw.sealed) == nil)
        // One token less than the sequence has is possible, more than it has is not.
        raw = try await saved(session, history.dropLast(8).map(\.self))
        raw.lengthen("morphkv.tokens")
        #expect(kind(raw.sealed) == nil)
        raw = try await saved(session, history.dropLast(7).map(\.self))
        raw.lengthen("morphkv.tokens")
        #expect(kind(raw.sealed) == .damaged)
        raw = try await saved(session)
        raw.lengthen("morphkv.unfed")
        #expect(kind(raw.sealed) == .damaged)
    }

    @Test func filesOfTheVersionWithoutTokenIdsAreReadAndNewerOnesAreNot() async throws {
        let (session, history) = try await session("h2o:capacity=24,window=6")
        var raw = try await saved(session)
        raw.replace("morphkv.version", bytes: 1)
        let loaded = try load(raw.sealed)
        #expect(loaded.savedTokens == [])
        #expect(await loaded.state == session.state)
        raw = try await saved(session, history)
        raw.replace("morphkv.version", bytes: UInt32(CacheFile.version + 1))
        #expect(kind(raw.sealed) == .newerVersion)
    }
}

extension RawCacheFile {
    /// Eight numbers more in a list; that many bytes keep the tensors behind it aligned.
    fileprivate mutating func lengthen(_ key: String) {
        guard let range = data.range(of: Data(key.utf8)) else { return }
        data.replace(at: range.upperBound + 8, with: data.integer(at: range.upperBound + 8) + 8)
        data.insert(contentsOf: Data(count: 32), at: range.upperBound + 16)
    }
}
