import Foundation
import MorphKV
import TestSupport
import Testing

/// The code of the articles about the library and of the README, as it stands there; `scripts/check-docs` compares.
@Suite struct LibraryArticleTests {
    private let folder: TemporaryFolder
    private let url: URL
    private let file: URL

    init() throws {
        folder = try TemporaryFolder()
        url = folder.url.appending(path: "model.gguf")
        file = folder.url.appending(path: "saved.gguf")
        // A copy, because a calibration is written beside it.
        try FileManager.default.copyItem(at: Fixtures.stories, to: url)
    }

    @Test func generateWithConstantMemory() async throws {
        let model = try Model(contentsOf: url)
        let session = try Session(model, cache: .morphKV(capacity: 1024, window: 32))
        for try await piece in session.generate("Once upon a time", options: .init(maxTokens: 4000)) {
            print(piece.text, terminator: "")
        }
        for try await piece in session.generate(" The next day", options: .init(maxTokens: 100)) {
            print(piece.text, terminator: "")
        }

        let plan = try CachePlan(model, .morphKV(capacity: 1024, window: 32), tokens: 100_000)
        print("a cache of \(plan.bytes) bytes, however long the text gets")

        let statistics = await session.statistics
        print(statistics.plannedBytes == statistics.allocatedBytes, statistics.used, statistics.evicted)
        #expect(statistics.allocatedBytes == plan.bytes && statistics.used > 0)

        let options = CacheOptions(policy: H2OPolicy(capacity: 512), elementType: .q8_0, prefill: .chunked(512))
        #expect(options.keyType == .q8_0 && options.valueType == .q8_0)

        struct Girl: SchemaDecodable {
            var name: String
            var age: Int
            static let jsonSchema = #"""
                {"type": "object", "required": ["name", "age"],
                 "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 99}}}
                """#
        }
        let girl = try await session.generate(" Here she is in JSON: ", as: Girl.self)
        print(girl.name, girl.age)
        #expect((0...99).contains(girl.age))

        try await session.save(to: file)
        let continued = try Session(contentsOf: file, model: model)
        #expect(await continued.statistics.used == statistics.used)
    }

    @Test func choosePolicy() async throws {
        let policy = try PolicyRegistry.standard.policy("h2o:capacity=512,window=64")
        let options = CacheOptions(policy: policy)
        #expect(options.policy.declaredCapacity == 512)

        let model = try Model(contentsOf: url)
        let texts = try CalibrationTexts(model, length: 256).samples(tokens: 8192, seed: 1)
        let learned = try Calibrator(model, texts: texts, source: "the model's own texts").run()
        try learned.calibration.write(to: Calibration.url(besideModel: model.url))

        let calibrated = try Model(contentsOf: url)
        let session = try Session(calibrated, cache: CacheOptions(policy: AugurPolicy(capacity: 128)))
        for try await _ in session.generate("Once", options: .init(maxTokens: 10)) {}
        #expect(await session.statistics.policy.hasPrefix("augur"))

        let tokens = try #require(model.tokenizer).encode("Once upon a time there was a dog. It had a red ball.")
        let cost = try Perplexity.measure(model, .morphKV(capacity: 64, window: 16), tokens: tokens, context: 256)
        print(cost.perplexity, cost.fullPerplexity, cost.meanKL, cost.sameTopToken)
        #expect(cost.perplexity > 1)
    }

    @Test func compressOnceAskMany() async throws {
        let document = "Once upon a time there was a girl named Lily. She had a dog, a red ball and a friend named Tom."
        let model = try Model(contentsOf: url)
        let session = try Session(model)
        var context = try await session.prefill(document)
        try context.compress(.kvzip(ratio: 0.3))
        let answer = try await context.ask("What is my name?")
        #expect(!answer.isEmpty)

        let shared = context
        async let who = shared.ask("Who was it?")
        async let when = shared.ask("When was it?")
        print(try await who, try await when)

        try context.save(to: file)
        let saved = try CompressedContext(contentsOf: file, model: model)
        #expect(saved.statistics.entries == context.statistics.entries)

        let dialogue = try Session(context, policy: MorphKVPolicy(capacity: 256, window: 32))
        for try await piece in dialogue.generate(" And then", options: .init(maxTokens: 100)) {
            print(piece.text, terminator: "")
        }
        #expect(await dialogue.statistics.slots == 256)
    }

    @Test func keepAnswersInContext() async throws {
        let document = "The report was signed by Tom, a friend of Lily, on the day when she found her dog again."
        let model = try Model(contentsOf: url)
        let session = try Session(model)
        var context = try await session.prefill(document, after: "You answer from the report.")
        try context.compress(.kvzip(ratio: 0.3))
        try context.save(to: file)  // and CompressedContext(contentsOf: file, model: model)
        // or: session.prefill(document, scoredBy: .calibration), then context.compress(.augur(ratio: 0.3))
        // The context is unchanged after this:
        let who = try await context.ask("Who signed the report?")
        let when = try await context.ask("And when?", keepingAnswer: true)
        // Constant size from here on:
        let dialogue = try Session(context, policy: MorphKVPolicy(capacity: 256))
        #expect(!who.isEmpty && !when.isEmpty)
        #expect(await dialogue.statistics.slots == 256)
    }
}
