import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// What a scheduler will take, said before the weights are read.
@Suite struct ServingPlanTests {
    private func options(_ cache: CacheOptions, parallel: Int, part: Int) -> ServingOptions {
        ServingOptions(
            cache: cache, tokensPerSequence: 256, parallel: parallel, spareCaches: 1, queueLimit: 8, promptChunk: part,
            maxPromptTokens: 400, maxTokens: 400, threads: 2)
    }

    /// Compares a plan with what is allocated.
    private func compare(_ shape: ModelShape, _ type: ElementType, _ options: ServingOptions) throws {
        let url = try TestModels.url(shape, type)
        let outline = try Model(outlineOf: url)
        let plan = try ServingPlan(outline, options, headBytes: 0)
        let scheduler = try Scheduler(Model(contentsOf: url), options)
        let memory = scheduler.memory
        #expect(plan.weights == memory.weights && plan.caches == memory.caches, "\(shape.architecture)")
        #expect(plan.requests == memory.requests && plan.cachePerSequence == memory.cachePerSequence)
        #expect(
            plan.compute >= memory.compute && plan.compute <= 16 * memory.compute,
            "\(shape.architecture) \(options.parallel) \(options.promptChunk): \(plan.compute) \(memory.compute)")
    }

    @Test("a plan is never less than what is allocated, and of the same size", arguments: Model.architectures)
    func everyArchitecture(_ architecture: String) throws {
        let shape = TestModels.shape(architecture)
        try compare(shape, .q8_0, options(.morphKV(capacity: 48, window: 8), parallel: 3, part: 64))
    }

    @Test("and so with few and many sequences, short and long parts of prompts, and caches that grow")
    func manyOptions() throws {
        let shape = TestModels.shape("llama")
        for (parallel, part) in [(1, 1), (9, 16), (2, 512), (5, 1024)] {
            try compare(shape, .f16, options(.morphKV(capacity: 64, window: 8), parallel: parallel, part: part))
        }
        try compare(shape, .f32, options(.full, parallel: 2, part: 64))
    }

    @Test func aModelWithACalibrationIsPlannedWithIt() throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let options = options(CacheOptions(policy: AugurPolicy(capacity: 64)), parallel: 3, part: 40)
        let plan = try ServingPlan(Model(outlineOf: model.url), options, headBytes: 0)
        let memory = try Scheduler(model, options).memory
        #expect(plan.calibration == memory.calibration && plan.calibration > 0)
        #expect(plan.caches == memory.caches && plan.compute >= memory.compute)
    }

    @Test func anOutlineOfADamagedModelSaysWhatIsWrong() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("GGUF", to: "model.gguf")
        #expect(throws: GgmlError.self) { try Model(outlineOf: file) }
        #expect(throws: GgmlError.self) { try ModelFile(file).headBytes() }
        let tokensOnly = try TestModels.url(TestModels.shape("llama"))
        #expect(throws: ModelError.self) { try ModelFile(tokensOnly).headBytes() }
    }

    @Test func theModelsOfAFolderAreToldFromOtherFiles() async throws {
        let folder = try TemporaryFolder()
        let model = folder.url.appending(path: "stories.gguf")
        try FileManager.default.copyItem(at: Fixtures.stories, to: model)
        let loaded = try Model(contentsOf: model)
        try CompressedContext(reading: "Ben had a red kite.", model: loaded, threads: 1).save(
            to: folder.url.appending(path: "context.gguf"))
        let session = try Session(loaded, cache: .morphKV(capacity: 64, window: 8), threads: 1)
        for try await _ in session.generate(tokens: [1, 2, 3], options: .init(maxTokens: 2)) {}
        try await session.save(to: folder.url.appending(path: "session.gguf"))
        let calibration = Fixtures.diary.deletingPathExtension().appendingPathExtension("augur.gguf")
        for name in ["stories.augur.gguf", "renamed.gguf"] {
            try FileManager.default.copyItem(at: calibration, to: folder.url.appending(path: name))
        }
        _ = try folder.write("no model", to: "damaged.gguf")
        _ = try folder.write("a text", to: "notes.txt")
        #expect(try ModelFile.all(in: folder.url).map(\.name) == ["damaged", "stories"])
    }
}
