import Ggml
import Testing

@testable import MorphKV

/// The largest weights that a repetition gives, by the kernel and by a graph of ggml's operations.
@Suite struct ReconstructionTests {
    @Test(
        "the kernel and a graph score entries alike", arguments: ["llama", "gpt-oss", "gemma3", "gemma3n", "gemma4"],
        [CacheType.f32, .q8_0])
    func kernelAndGraphAgree(_ architecture: String, _ type: CacheType) throws {
        let model = try TestCalibrations.model(TestModels.shape(architecture))
        let context = try TestContexts.make(model, type: type)
        let backend = try Backend(.cpu(), threads: 2)
        let scores = try [true, false].map { isFused in
            var reconstruction = Reconstruction(
                model: model, backend: backend, allocator: try GraphAllocator(on: backend), cache: context.cache,
                system: context.systemTokens)
            reconstruction.isFused = isFused
            let parts = try Reconstruction.parts(
                of: context.tokens, after: context.systemTokens, TestContexts.prompt, model)
            return try reconstruction.score(parts) { _, _ in }.values
        }
        // With keys in 8 bits ggml's products round the queries to 8 bits too.
        let tolerance: Float = type == .f32 ? 1e-3 : 2e-2
        for (kernel, graph) in zip(scores[0], scores[1]) {
            #expect((kernel == nil) == (graph == nil))
            if let kernel, let graph { expectClose(kernel.flatMap(\.self), graph.flatMap(\.self), tolerance) }
        }
        #expect(scores[0].contains { $0 != nil })
    }
}
