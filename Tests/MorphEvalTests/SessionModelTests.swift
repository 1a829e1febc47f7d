import Foundation
import MorphEval
import MorphKV
import TestSupport
import Testing

@Suite("Models of this package under evaluation")
struct SessionModelTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func stories(
        _ cache: CacheOptions = .full, change: (inout RawGguf) -> Void = { _ in }
    ) throws -> SessionModel {
        var file = RawGguf(parsing: Array(try Data(contentsOf: Fixtures.stories)))
        change(&file)
        let url = folder.url.appending(path: "\(UUID().uuidString).gguf")
        try Data(file.bytes).write(to: url)
        return try SessionModel(Model(contentsOf: url), cache: cache, threads: 1)
    }

    private func request(
        _ model: SessionModel, context: String = "", _ questions: [String], _ limit: Int = 24, line: Bool = false
    ) throws -> EvaluationRequest {
        EvaluationRequest(
            context: context.isEmpty ? [] : try model.tokens(of: context, isBeginning: true),
            questions: try questions.map { try model.tokens(of: $0, isBeginning: context.isEmpty) },
            promptWasCut: false, maximumNewTokens: limit, endsAfterLine: line, seed: 0)
    }

    /// Policies, and how often they need to read a context about which there are three questions.
    static let policies = [
        ("full", 1), ("snapkv:promptCapacity=16,window=4", 1), ("pyramidkv:promptCapacity=16,window=4,beta=2", 1),
        ("adakv:promptCapacity=16,window=4", 1), ("kvzip:ratio=0.4", 1), ("kvzip:ratio=0.4,level=uniform", 1),
        ("morphkv:capacity=24,window=8", 3), ("streaming:capacity=16", 3),
    ]

    @Test("a context that is read once is answered about as in the policy's own sequence", arguments: policies)
    func readOnce(_ policy: String, _ reads: Int) async throws {
        let cache = CacheOptions(policy: try PolicyRegistry.standard.policy(policy))
        let loaded = try Model(contentsOf: Fixtures.stories)
        let model = try SessionModel(loaded, cache: cache, threads: 1)
        let context = String(repeating: "Tom and Sue had a big red ball. One day Tom lost it in the park. ", count: 3)
        let request = try request(model, context: context, ["Then Tom", "Sue was", "Then Tom"])
        let answer = try await model.answer(request) { _ in }
        for (question, part) in zip(request.questions, answer.parts) {
            let session = try Session(loaded, cache: cache, threads: 1)
            for try await _ in session.generate(tokens: request.context, options: .init(maxTokens: 0)) {}
            var text = ""
            for try await piece in session.generate(tokens: question, options: .init(maxTokens: 24)) {
                text += piece.text
            }
            #expect(part.text == text)
        }
        #expect(answer.promptTokens == request.context.count + request.questions.reduce(0) { $0 + $1.count })
    }

    @Test("what comes before a context is not cut by kvzip")
    func systemStays() async throws {
        let cache = CacheOptions(policy: try PolicyRegistry.standard.policy("kvzip:ratio=0,system=0"))
        let model = try stories(cache)
        var request = try request(model, context: "Lily had a dog and a cat.", ["Then"])
        let alone = try await model.answer(request) { _ in }
        request.system = try model.tokens(of: "Once upon a time, there was a girl named Lily. ", isBeginning: true)
        let answer = try await model.answer(request) { _ in }
        #expect(answer.promptTokens == alone.promptTokens + request.system.count)
        // 5 layers of 4 KV heads, each with 8 numbers of 2 bytes in a key and in a value, and a position.
        #expect(answer.promptCacheBytes >= alone.promptCacheBytes + request.system.count * 5 * 4 * (2 * 8 * 2 + 4))
    }

    @Test("questions about a shared context are answered as if each were the only one")
    func sharedContext() async throws {
        for (policy, reads) in Self.policies {
            let cache = CacheOptions(policy: try PolicyRegistry.standard.policy(policy))
            let model = try stories(cache)
            let context = "Once upon a time, there was a little girl named Lily. She had a dog and a red ball. "
            let questions = ["Lily saw", "One day, the dog", "Lily saw"]
            let together = try await model.answer(request(model, context: context, questions)) { _ in }
            #expect(together.parts.count == 3 && together.parts[0] == together.parts[2])
            #expect(together.contextReads == reads, "\(policy)")
            for (question, part) in zip(questions, together.parts) {
                let alone = try await model.answer(request(model, context: context, [question])) { _ in }
                #expect(alone.parts == [part], "\(policy)")
            }
        }
    }

    @Test("the cache of a context is cut before a question is seen")
    func compression() async throws {
        let cache = CacheOptions(policy: try PolicyRegistry.standard.policy("snapkv:promptCapacity=16,window=4"))
        let model = try stories(cache)
        let context = String(repeating: "Lily had a dog. ", count: 20)
        let small = try await model.answer(request(model, context: context, ["Then"])) { _ in }
        let full = try stories()
        let large = try await full.answer(request(full, context: context, ["Then"])) { _ in }
        #expect(small.promptTokens == large.promptTokens && small.promptTokens > 100)
        #expect(small.cacheBytes <= large.cacheBytes && small.peakBytes > small.cacheBytes)
        #expect(small.promptCacheBytes > 0 && small.promptCacheBytes <= small.cacheBytes)
    }

    @Test("an answer of one line ends with its first line that is not empty")
    func oneLine() async throws {
        let model = try stories()
        let story = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
        let whole = try await model.answer(request(model, [story], 300)) { _ in }
        let line = try await model.answer(request(model, [story], 300, line: true)) { _ in }
        #expect(whole.parts[0].text.contains("\n") && whole.parts[0].text.hasPrefix(line.parts[0].text))
        #expect(line.parts[0].text.drop(while: \.isNewline).filter(\.isNewline).count == 1)
        #expect(line.parts[0].tokens < whole.parts[0].tokens)
    }

    @Test("an answer that is cancelled is no answer")
    func cancellation() async throws {
        let model = try stories(CacheOptions(policy: try PolicyRegistry.standard.policy("streaming:capacity=16")))
        let request = try request(model, ["Once upon a time"], 1_000_000)
        let (tokens, continuation) = AsyncStream<Int>.makeStream()
        let task = Task { try await model.answer(request) { continuation.yield($0) } }
        for await count in tokens where count > 3 { break }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("what stands around a message comes from the model's own template")
    func template() throws {
        let template =
            "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
            + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
        let model = try stories { $0["tokenizer.chat_template"] = .text(template) }
        #expect(
            try model.chatFrame(system: nil)
                == ChatFrame(head: "<|im_start|>user\n", tail: "<|im_end|>\n<|im_start|>assistant\n"))
        #expect(
            try model.chatFrame(system: "Be kind").head
                == "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\n")
    }

    @Test("a model without a template says how to do without one")
    func noTemplate() throws {
        let model = try stories()
        let error = #expect(throws: EvaluationError.self) { try model.chatFrame(system: nil) }
        #expect(error?.kind == .model && error?.description.contains("--raw") == true)
    }

    @Test("fingerprints tell files of other weights or metadata apart, and not copies")
    func fingerprints() throws {
        let data = try Data(contentsOf: Fixtures.stories)
        func fingerprint(_ change: (inout Data) -> Void) throws -> String {
            var copy = data
            change(&copy)
            let url = folder.url.appending(path: "\(UUID().uuidString).gguf")
            try copy.write(to: url)
            return try Model.fileDigest(of: url)
        }
        let original = try Model.fileDigest(of: Fixtures.stories)
        #expect(try fingerprint { _ in } == original)
        #expect(try fingerprint { $0[100] ^= 1 } != original)
        #expect(try fingerprint { $0[$0.count - 1] ^= 1 } != original)
        #expect(try fingerprint { $0.removeLast() } != original)
        #expect(
            try fingerprint { data in for place in stride(from: 99, to: data.count, by: 999) { data[place] ^= 1 } }
                != original)
        #expect(throws: EvaluationError.self) { try Model.fileDigest(of: folder.url.appending(path: "absent")) }
    }
}
