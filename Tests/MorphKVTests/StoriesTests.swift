import CTestSupport
import Foundation
import Ggml
import MorphKV
import Testing

/// A real trained model, whose greedy text is documented (karpathy/llama2.c, doc/stories260K.md).
@Suite(.enabled(if: SharedData.has("models/stories260K.gguf"), "the model stories260K is not beside the checkout"))
struct StoriesTests {
    static let path = "models/stories260K.gguf"

    static let documented = """
        Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a \
        big, red ball. She wanted to play with it, but it was too high.
        Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play \
        with your ball, but I can't find it."
        Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
        Lily didn't want to help her mom, so she said, "I'm sorry, mom. I didn't know what to do." Her mom said, "Don't \
        worry, Lily. We can help you.
        """

    static func text(_ cache: CacheOptions, maxTokens: Int = 260) async throws -> String {
        let session = try Session(Model(contentsOf: SharedData.url(path)), cache: cache, threads: 2)
        var text = ""
        for try await piece in session.generate("", options: .init(maxTokens: maxTokens)) { text += piece.text }
        return text
    }

    @Test("the full cache writes the documented text", arguments: [ElementType.f16, .f32])
    func fullCacheWritesTheDocumentedText(_ type: ElementType) async throws {
        let text = try await Self.text(CacheOptions(policy: FullPolicy(), elementType: type))
        #expect(text.drop { $0 == " " }.hasPrefix(Self.documented))
    }

    @Test("morphkv with room for the whole text writes the documented text")
    func ampleMorphKVWritesTheDocumentedText() async throws {
        let text = try await Self.text(.morphKV(capacity: 320, window: 16))
        #expect(text.drop { $0 == " " }.hasPrefix(Self.documented))
    }

    @Test("capacity 64 writes 2,000 tokens with exactly 64 slots per head and no allocation per step")
    func constantSizeStaysConstant() throws {
        let model = try Model(contentsOf: SharedData.url(Self.path))
        let engine = try Engine(model, .morphKV(capacity: 64, window: 16), threads: 2)
        try engine.prefill([1])
        var (held, resident) = (0, 0)
        for step in 0..<2000 {
            let token = engine.logits.indices.max { engine.logits[$0] < engine.logits[$1] }!
            try engine.decode(Token(token))
            if step == 200 { (held, resident) = (test_heap_bytes(), Self.residentBytes()) }
        }
        #expect(engine.statistics.layers.allSatisfy { $0.used == 64 && $0.slots == 64 })
        #expect(engine.positions.allSatisfy { $0.allSatisfy { $0.count == 64 } })
        #expect(engine.statistics.evicted == 2001 - 64)
        #expect(test_heap_bytes() <= held + 4096)
        #expect(Self.residentBytes() <= resident + 1 << 20)
    }

    /// 0 where the system does not tell.
    private static func residentBytes() -> Int {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return fields.count > 1 ? Int(fields[1])! * Int(getpagesize()) : 0
    }
}
