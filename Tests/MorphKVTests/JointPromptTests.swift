import Foundation
import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Prompts of several sequences that enter at once, on every device that there is.
@Suite struct JointPromptTests {
    private static let policies =
        GraphBatchTests.policies + ["adakv:promptCapacity=24,window=6"]

    /// Nearly, because products with other numbers of columns may be rounded in another way.
    private func compare(_ together: [Engine], _ apart: [Engine], _ device: TestDevice, _ place: String) {
        for (index, (one, other)) in zip(together, apart).enumerated() {
            expectClose(one.logits, other.logits, device.tolerance)
            #expect(one.positions == other.positions, "\(place), sequence \(index)")
        }
    }

    @Test("what enters with others is what enters alone, a second turn too", arguments: policies, TestDevice.all)
    func together(_ policy: String, on device: TestDevice) throws {
        let model = try device.model(TestModels.shape("llama", queryHeads: 4, kvHeads: 2))
        let options = try device.options(policy)
        let (shared, others) = (try EngineWorkspace(model, threads: 1), try EngineWorkspace(model, threads: 1))
        let together = try (0..<4).map { _ in try Engine(model, options, in: shared) }
        let apart = try (0..<4).map { _ in try Engine(model, options, in: others) }
        for (turn, lengths) in [[3, 40, 1, 90], [7, 1, 30, 2]].enumerated() {
            let prompts = lengths.enumerated().map { index, count in
                Engine.Prompt(together[index], TestModels.tokens(count, seed: UInt64(10 * turn + index)))
            }
            // What adakv has cut unevenly is fed token by token.
            guard prompts.allSatisfy({ $0.canEnter(with: prompts[0]) }) else {
                #expect(turn == 1 && policy.hasPrefix("adakv"), "\(policy)")
                return
            }
            try Engine.prefill(prompts)
            for (prompt, engine) in zip(prompts, apart) { try engine.prefill(prompt.tokens) }
            compare(together, apart, device, "turn \(turn)")
            for token in TestModels.tokens(5, seed: 77) {
                for engine in together + apart { try engine.decode(token) }
                compare(together, apart, device, "after turn \(turn)")
            }
        }
        #expect(together.allSatisfy { $0.statistics.plannedBytes == $0.statistics.allocatedBytes })
    }

    @Test(
        "so it is with sliding windows, sinks, experts and gates",
        arguments: ["gemma3", "gpt-oss", "qwen3moe", "phi3", "granitemoe", "mistral3"], TestDevice.all)
    func architectures(_ architecture: String, on device: TestDevice) throws {
        let model = try device.model(TestModels.shape(architecture, queryHeads: 8, kvHeads: 2))
        let options = try device.options("morphkv:capacity=40,window=6")
        let (shared, others) = (try EngineWorkspace(model, threads: 1), try EngineWorkspace(model, threads: 1))
        let together = try (0..<3).map { _ in try Engine(model, options, in: shared) }
        let apart = try (0..<3).map { _ in try Engine(model, options, in: others) }
        for (turn, lengths) in [[130, 20, 300], [11, 50, 4]].enumerated() {
            let prompts = lengths.enumerated().map { index, count in
                Engine.Prompt(together[index], TestModels.tokens(count, seed: UInt64(10 * turn + index)))
            }
            try Engine.prefill(prompts)
            for (prompt, engine) in zip(prompts, apart) { try engine.prefill(prompt.tokens) }
            compare(together, apart, device, "turn \(turn)")
        }
    }

    @Test("what cannot enter with others says so, and a bad token changes nothing")
    func refused() throws {
        let model = try TestDevice.cpu.model(TestModels.shape("llama"))
        let workspace = try EngineWorkspace(model, threads: 1)
        func engine(_ policy: String, _ attention: CacheOptions.AttentionPath = .graph) throws -> Engine {
            var options = try TestDevice.cpu.options(policy)
            options.attention = attention
            return try Engine(model, options, in: workspace)
        }
        let first = Engine.Prompt(try engine("morphkv:capacity=24,window=6"), [1, 2])
        func joins(_ engine: Engine) -> Bool { Engine.Prompt(engine, [3]).canEnter(with: first) }
        #expect(try joins(engine("morphkv:capacity=24,window=6")))
        #expect(try !joins(engine("morphkv:capacity=24,window=5")))
        #expect(try !joins(engine("morphkv:capacity=24,window=6", .fused)))
        #expect(try !joins(Engine(model, TestDevice.cpu.options("morphkv:capacity=24,window=6"), threads: 1)))
        let other = Engine.Prompt(try engine("morphkv:capacity=24,window=6"), [1, 99_999])
        #expect(throws: CacheError.self) { try Engine.prefill([first, other]) }
        #expect(first.engine.seen == 0 && other.engine.seen == 0)
        let hybrid = try TestDevice.cpu.model(TestModels.shape("lfm2"))
        let alone = Engine.Prompt(try Engine(hybrid, TestDevice.cpu.options("full"), threads: 1), [1])
        #expect(!alone.canEnter(with: alone))
    }
}

extension WorkerTests {
    @Test(
        "a server's prompts enter at once there, and its answers are those of prompts that came one by one",
        arguments: TestPlacement.allCases)
    func promptsTogether(on placement: TestPlacement) async throws {
        let model = try placement.model(TestModels.url(TestModels.shape("llama")))
        let options = ServingOptions(
            cache: CacheOptions(policy: MorphKVPolicy(capacity: 48, window: 8), elementType: .f32),
            tokensPerSequence: 512, parallel: 4, queueLimit: 64, promptChunk: 64, maxPromptTokens: 400, maxTokens: 400,
            timeLimit: .seconds(3600), readLimit: .seconds(3600), threads: 1)
        let scheduler = try Scheduler(model, options)
        let requests = (0..<12).map { index in
            ServingRequest(
                prompt: TestModels.tokens(5 + 11 * index % 40, seed: UInt64(index)),
                options: GenerationOptions(maxTokens: 12, ignoresEndOfText: true), topLogprobs: 0)
        }
        func tokens(_ answer: AnswerStream) async throws -> [Token] {
            var tokens: [Token] = []
            for try await piece in answer { tokens += piece.tokens.map(\.chosen.token) }
            return tokens
        }
        var alone: [[Token]] = []
        for request in requests { alone.append(try await tokens(scheduler.submit([request])[0])) }
        func fed() -> Int { scheduler.statistics.chunkSeconds.counts.reduce(0, +) }
        let parts = fed()
        #expect(parts == requests.count)
        let answers = try scheduler.submit(requests)
        for (answer, expected) in zip(answers, alone) { #expect(try await tokens(answer) == expected) }
        #expect(fed() - parts < requests.count * 3 / 4)
        await scheduler.stop()
    }
}
