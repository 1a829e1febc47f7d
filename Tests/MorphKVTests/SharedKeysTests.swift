import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Blocks that attend to the keys and values of an earlier layer: one cache, one choice, and weights that add up.
@Suite struct SharedKeysTests {
    /// A Gemma 4 whose third layer serves two further blocks and whose fourth serves one; local layers see far.
    private static func model() throws -> Model {
        var shape = TestModels.shape("gemma4")
        shape.slidingWindow = 250
        return try TestCalibrations.model(shape)
    }

    private func engine(
        _ model: Model, _ policy: String, _ adjust: (inout CacheOptions) -> Void = { _ in }
    ) throws -> Engine {
        var options = CacheOptions(policy: try PolicyRegistry.standard.policy(policy), elementType: .f32)
        adjust(&options)
        return try Engine(model, options, threads: 1)
    }

    @Test(
        "what a layer's entries received is from its own queries and from those of the blocks that attend to it",
        arguments: [("h2o:capacity=200,window=4", 60), ("morphkv:capacity=200,window=6", 6), ("tova:capacity=200", 1)],
        [CacheOptions.AttentionPath.fused, .graph])
    func weightsAddUp(_ policy: (String, Int), _ path: CacheOptions.AttentionPath) throws {
        let model = try Self.model()
        let engine = try engine(model, policy.0) { $0.attention = path }
        try engine.prefill(TestModels.tokens(25, seed: 3))
        try engine.prefill(TestModels.tokens(15, seed: 4))
        for token in TestModels.tokens(20, seed: 5) { try engine.decode(token) }
        let readers = [0, 0, 2, 1]
        for (layer, heads) in engine.lastWeights.enumerated() {
            let geometry = model.description.geometry(of: layer)
            #expect(geometry.readers == readers[layer] && heads.count == geometry.kvHeads)
            // A query head's weights are one in sum.
            let expected = Float(policy.1 * geometry.groupSize * (1 + readers[layer]))
            for head in heads { #expect(abs(head.values.reduce(0, +) - expected) < 1e-3 * expected) }
        }
    }

    @Test("a prompt longer than a chunk, of which the last block has nothing to do for all but the last token")
    func longPrompts() throws {
        let model = try Self.model()
        let (whole, parts) = (try engine(model, "full"), try engine(model, "full"))
        let tokens = TestModels.tokens(1100, seed: 8)
        try whole.prefill(tokens)
        for start in stride(from: 0, to: 1100, by: 275) { try parts.prefill(Array(tokens[start..<start + 275])) }
        expectClose(whole.logits, parts.logits, 1e-4)
    }

    @Test(
        "the kernel keeps what the graph keeps, whatever the weights become",
        arguments: [
            "h2o:capacity=24,window=4", "tova:capacity=24", "morphkv:capacity=24,window=6,fusion=max",
            "morphkv:capacity=24,window=6,group=max",
            "morphkv:capacity=24,window=6,fusion=max,normalization=candidates",
            "morphkv:capacity=24,window=6,fusion=max,normalization=candidates,group=max",
            "morphkv:capacity=24,window=6,decay=0.8",
            "augur:capacity=24,window=6", "keydiff:capacity=24,window=4",
        ])
    func equalsTheGraph(_ policy: String) throws {
        let model = try Self.model()
        let engines = try [CacheOptions.AttentionPath.graph, .fused].map { path in
            try engine(model, policy) { $0.attention = path }
        }
        for engine in engines {
            try engine.prefill(TestModels.tokens(37, seed: 5))
            try engine.prefill(TestModels.tokens(5, seed: 8))
        }
        for token in TestModels.tokens(20, seed: 6) {
            for engine in engines { try engine.decode(token) }
            expectClose(engines[1].logits, engines[0].logits, 2e-4)
            #expect(engines[1].positions == engines[0].positions)
        }
    }

    @Test(
        "sequences that are decoded together by a graph give what each gives alone",
        arguments: [
            "full", "streaming:capacity=24,sinks=2", "h2o:capacity=24,window=4", "tova:capacity=24,heads=layer",
            "morphkv:capacity=24,window=6", "morphkv:capacity=24,window=6,fusion=max",
            "morphkv:capacity=24,window=6,fusion=max,normalization=candidates,group=max",
            "augur:capacity=24,window=6", "keydiff:capacity=24,window=4",
        ], ["gemma3n", "gemma4"])
    func batchesOfGraphs(_ policy: String, _ architecture: String) throws {
        var shape = TestModels.shape(architecture)
        shape.slidingWindow = 250
        let model = try TestCalibrations.model(shape)
        func engines() throws -> [Engine] {
            try (0..<3).map { index in
                let engine = try engine(model, policy) { $0.attention = .graph }
                // Some are full before they begin, others not yet.
                try engine.prefill(TestModels.tokens(9 + 14 * index, seed: UInt64(index)))
                return engine
            }
        }
        let (together, apart) = (try engines(), try engines())
        let (batch, alone) = (try Batch(model, threads: 2), try Batch(model, threads: 2))
        for (step, turn) in [[0, 1, 2], [0, 2], [2, 1, 0], [1], [0, 1, 2], [1, 2], [2, 0, 1], [0, 1]].enumerated() {
            try batch.decode(turn.map { (together[$0], Token(step * 13)) })
            for index in turn { try alone.decode([(apart[index], Token(step * 13))]) }
            for index in turn {
                #expect(together[index].logits == apart[index].logits, "step \(step), sequence \(index)")
                #expect(together[index].positions == apart[index].positions)
            }
        }
    }

    @Test("a cache is held and announced once, however many blocks attend to it")
    func cachesCountOnce() throws {
        let model = try Self.model()
        #expect(model.description.blockCount == 7 && model.description.layers.count == 4)
        let engine = try engine(model, "morphkv:capacity=24,window=6")
        let plan = try CachePlan(model, engine.cache.options, tokens: 1000)
        for token in TestModels.tokens(40, seed: 5) { try engine.decode(token) }
        let statistics = engine.statistics
        #expect(statistics.layers.count == 4 && plan.layerBytes.count == 4)
        #expect(statistics.plannedBytes == plan.bytes && statistics.allocatedBytes == plan.bytes)
        let full = try CachePlan(model, .full, tokens: 1024)
        // Two global layers with one KV head of 64 numbers; two local ones with two of 32.
        #expect(full.layerBytes[1] == 1024 * 2 * 2 * 64)
        #expect(full.layerBytes[0] == 250 * 2 * 2 * 2 * 32)
    }

    @Test(
        "a prompt in parts, token by token or behind a context leaves what the whole prompt leaves",
        arguments: ["gemma3n", "gemma4"])
    func partsLeaveTheSame(_ architecture: String) throws {
        let model = try TestContexts.model(architecture)
        let prompt = TestModels.tokens(90, seed: 8)
        let whole = try engine(model, "full")
        try whole.prefill(prompt)
        for part in [1, 7, 64] {
            let parts = try engine(model, "full") { $0.prefill = .chunked(part) }
            try parts.prefill(prompt)
            expectClose(parts.logits, whole.logits, 1e-4)
        }
        let steps = try engine(model, "full")
        for token in prompt { try steps.decode(token) }
        expectClose(steps.logits, whole.logits, 1e-4)
        let context = try TestContexts.make(model, tokens: 50)
        let behind = try context.engine(threads: 1)
        // Enters in parts of several tokens.
        try behind.prefill(Array(prompt[..<27]))
        let together = try engine(model, "full")
        try together.prefill(context.tokens + prompt[..<27])
        expectClose(behind.logits, together.logits, 1e-4)
    }
}
