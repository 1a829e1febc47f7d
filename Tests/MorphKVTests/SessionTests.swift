import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

@Suite struct SessionTests {
    static let model: Model = {
        guard let model = try? Model(contentsOf: TestModels.url(TestModels.shape("llama"))) else {
            preconditionFailure("the test model can be written and read")
        }
        return model
    }()

    static func tokens(_ generation: Generation) async throws -> [Token] {
        var tokens: [Token] = []
        for try await piece in generation { tokens += piece.token.map { [$0] } ?? [] }
        return tokens
    }

    @Test func zeroTokensOnlyFeedThePrompt() async throws {
        let session = try Session(Self.model, threads: 1)
        var pieces: [Generation.Piece] = []
        let options = GenerationOptions(maxTokens: 0)
        for try await piece in session.generate(tokens: [1, 2, 3], options: options) { pieces.append(piece) }
        #expect(pieces.map(\.finish) == [.length] && pieces[0].token == nil)
        #expect(await session.statistics.tokensSeen == 3)
    }

    @Test func anEmptyPromptIsRefused() async throws {
        let session = try Session(Self.model, threads: 1)
        await #expect { try await Self.tokens(session.generate(tokens: [])) } throws: {
            ($0 as? CacheError)?.kind == .emptyPrompt
        }
    }

    @Test func idsOutsideTheVocabularyAreRefusedAndChangeNothing() async throws {
        let session = try Session(Self.model, threads: 1)
        for bad in [Token(-1), 320, .max] {
            await #expect { try await Self.tokens(session.generate(tokens: [1, bad])) } throws: {
                ($0 as? CacheError)?.kind == .invalidToken
            }
        }
        #expect(await session.statistics.tokensSeen == 0)
    }

    @Test func textNeedsATokenizer() async throws {
        let session = try Session(Self.model, threads: 1)
        await #expect { try await Self.tokens(session.generate("text")) } throws: {
            ($0 as? GenerationError)?.kind == .noTokenizer
        }
    }

    @Test("a session generates one text at a time")
    func oneTextAtATime() async throws {
        let session = try Session(Self.model, threads: 1)
        var first = session.generate(tokens: [1], options: .init(maxTokens: 10)).makeAsyncIterator()
        _ = try await first.next()
        await #expect { try await Self.tokens(session.generate(tokens: [2])) } throws: {
            ($0 as? GenerationError)?.kind == .busy
        }
        while try await first.next() != nil {}
        _ = try await Self.tokens(session.generate(tokens: [2], options: .init(maxTokens: 1)))
    }

    @Test func leavingTheLoopEndsTheGeneration() async throws {
        let session = try Session(Self.model, threads: 1)
        for try await _ in session.generate(tokens: [1], options: .init(maxTokens: 1000)) { break }
        // The end of a dropped generation reaches the session as its own job.
        for _ in 0..<100 {
            if (try? await session.reset()) != nil { break }
            await Task.yield()
        }
        #expect(await session.statistics.tokensSeen == 0)
    }

    @Test func cancellingTheTaskEndsTheGeneration() async throws {
        let session = try Session(Self.model, threads: 1)
        let task = Task { try await Self.tokens(session.generate(tokens: [1], options: .init(maxTokens: 1_000_000))) }
        try await wait(for: "the first tokens") { await session.statistics.tokensSeen >= 5 }
        task.cancel()
        _ = try await task.value
        _ = try await Self.tokens(session.generate(tokens: [2], options: .init(maxTokens: 1)))
    }

    @Test("a generation continued in parts is the one generated at once", arguments: [Float(0), 0.8])
    func partsAreTheWhole(_ temperature: Float) async throws {
        let cache = CacheOptions.morphKV(capacity: 24, window: 6)
        let whole = try await Self.tokens(
            Session(Self.model, cache: cache, threads: 1).generate(tokens: [1, 2, 3], options: .init(maxTokens: 60)))
        let session = try Session(Self.model, cache: cache, threads: 1)
        var parts = try await Self.tokens(session.generate(tokens: [1, 2, 3], options: .init(maxTokens: 20)))
        parts += try await Self.tokens(session.generate(tokens: [], options: .init(maxTokens: 1)))
        #expect(parts == Array(whole.prefix(21)))
        #expect(whole.count == 60)
    }

    @Test func theSameSeedSamplesTheSameText() async throws {
        func sample(_ seed: UInt32) async throws -> [Token] {
            let options = GenerationOptions(maxTokens: 40, sampling: .init(temperature: 1, seed: seed))
            return try await Self.tokens(Session(Self.model, threads: 1).generate(tokens: [1], options: options))
        }
        let first = try await sample(7)
        #expect(try await sample(7) == first)
        #expect(try await sample(8) != first)
    }

    @Test("sessions of one model run side by side")
    func sessionsAreIndependent() async throws {
        let options = GenerationOptions(maxTokens: 30)
        let alone = try await Self.tokens(Session(Self.model, threads: 1).generate(tokens: [5], options: options))
        try await withThrowingTaskGroup(of: [Token].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await Self.tokens(Session(Self.model, threads: 1).generate(tokens: [5], options: options))
                }
            }
            for try await tokens in group { #expect(tokens == alone) }
        }
    }

    @Test func optionsOutOfRangeAreNamed() async throws {
        let session = try Session(Self.model, threads: 1)
        let bad: [SamplingOptions] = [
            .init(temperature: -1), .init(temperature: .nan), .init(topK: -1), .init(topP: 2), .init(minP: -0.1),
            .init(repetitionPenalty: 0), .init(frequencyPenalty: .infinity), .init(penaltyWindow: -1),
        ]
        for sampling in bad {
            await #expect {
                try await Self.tokens(session.generate(tokens: [1], options: .init(sampling: sampling)))
            } throws: { ($0 as? GenerationError)?.kind == .invalidOption }
        }
    }

    @Test(
        "policies that leave nothing to choose are refused at creation",
        arguments: [
            "morphkv:capacity=32,window=32", "morphkv:capacity=1", "morphkv:capacity=10,window=4,sinks=6",
            "h2o:capacity=8,window=8", "streaming:capacity=4,sinks=4", "snapkv:promptCapacity=20,window=20",
            "snapkv:promptCapacity=20,window=8,kernel=4", "morphkv:capacity=20,window=4,decay=0.5,fusion=max",
            "morphkv:capacity=20,window=4,decay=0.5,normalization=candidates", "morphkv:reference,capacity=8,window=1",
        ])
    func contradictionsAreRefused(_ text: String) throws {
        let policy = try PolicyRegistry.standard.policy(text)
        #expect { try Session(Self.model, cache: CacheOptions(policy: policy)) } throws: {
            ($0 as? CacheError)?.kind == .invalidPolicy
        }
    }
}
