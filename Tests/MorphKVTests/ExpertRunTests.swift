import MorphKV
import Testing

/// Prompts that go through one expert after the other, each with all tokens that chose it.
@Suite struct ExpertRunTests {
    @Test(
        "the memory of a prompt does not depend on which experts its tokens choose",
        arguments: Model.architectures.filter { TestModels.shape($0).experts != nil })
    func choicesTakeNoMemory(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let engine = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        var taken: [Int] = []
        // Equal tokens have equal experts: no groups are larger.
        for prompt in [
            TestModels.tokens(200, seed: 3), Array(repeating: 7, count: 200), TestModels.tokens(90, seed: 4),
        ] {
            try engine.prefill(prompt)
            taken.append(engine.computeBytes)
            engine.clear()
        }
        #expect(Set(taken).count == 1, "\(taken)")
        // Nor on shorter ones before it.
        let second = try Engine(model, CacheOptions(policy: FullPolicy(), elementType: .f32), threads: 1)
        for count in [70, 130, 200] {
            try second.prefill(TestModels.tokens(count, seed: 5))
            second.clear()
        }
        #expect(second.computeBytes == taken[0])
    }
}
