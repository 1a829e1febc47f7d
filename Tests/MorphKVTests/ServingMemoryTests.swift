import Foundation
import Testing

@testable import MorphKV

/// What a scheduler allocates at its start is all that requests of any policy need.
@Suite struct ServingMemoryTests {
    private static let options = ServingOptions(
        cache: CacheOptions(policy: MorphKVPolicy(capacity: 48, window: 8), elementType: .f32),
        tokensPerSequence: 512, parallel: 3, promptChunk: 40, maxPromptTokens: 400, maxTokens: 400,
        timeLimit: .seconds(3600), readLimit: .seconds(3600), threads: 1)

    private static func limits(_ model: Model) throws -> ServingLimits {
        let contexts = ContextStore(model, options, queue: RequestQueue(limit: 1, parallel: 1))
        return try ServingLimits(model, options, contexts)
    }

    private static func request(_ policy: String) throws -> ServingRequest {
        ServingRequest(
            prompt: TestModels.tokens(120, seed: 3), options: GenerationOptions(maxTokens: 70),
            cache: CacheOptions(policy: try PolicyRegistry.standard.policy(policy), elementType: .f32))
    }

    @Test("layers and heads with slots of their own, features, prompts in parts: nothing grows")
    func nothingGrows() throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let limits = try Self.limits(model)
        let caches = try ServingCaches(model, Self.options, limits)
        let batch = try Batch(model, threads: 1)
        try caches.warmUp(batch)
        let announced = caches.memory(steps: batch.computeBytes)
        let policies = [
            "augur:capacity=48,window=4", "augur:capacity=44,lambda=0.3,budgets=head", "h2o:capacity=48,window=8",
            "h2o:capacity=44,window=4,budgets=head", "augur:capacity=48,lambda=0", "streaming:capacity=52",
            "keydiff:capacity=40,window=8,budgets=layer", "augur:capacity=40,budgets=even",
        ]
        for first in policies.indices {
            // Up to three at a time, each time others.
            let slots = try (0..<1 + first % 3).map { index in
                let request = try Self.request(policies[(first + index) % policies.count])
                try limits.check(request)
                return try caches.claim(for: request)
            }
            for slot in slots {
                let tokens = TestModels.tokens(120, seed: UInt64(first))
                for start in stride(from: 0, to: 120, by: 40) {
                    try slot.engine!.prefill(Array(tokens[start..<start + 40]), continuesFirstPrompt: true)
                }
            }
            for token in TestModels.tokens(70, seed: 9) { try batch.decode(slots.map { ($0.engine!, token) }) }
            #expect(caches.memory(steps: batch.computeBytes) == announced, "from \(policies[first]) on")
            for slot in slots { caches.giveBack(slot, keeps: false) }
        }
    }

    @Test("a policy whose bytes fit, but with more slots for a head than was counted, is refused")
    func tooManySlots() throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let limits = try Self.limits(model)
        func request(_ capacity: Int) throws -> ServingRequest {
            try Self.request("streaming:capacity=\(capacity),budgets=head")
        }
        let most = try #require(try (40...200).last { try limits.bytes(of: request($0)) <= limits.bytesPerSequence })
        let error = #expect(throws: ServingError.self) { try limits.check(request(most)) }
        #expect(error?.kind == .doesNotFit && error?.description.contains("slots") == true)
        try limits.check(request(44))
    }
}
