import Foundation
import MorphKV
import TestSupport
import Testing

/// A real trained model, whose greedy text is documented (karpathy/llama2.c, doc/stories260K.md).
@Suite struct StoriesTests {
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
        let session = try Session(Model(contentsOf: Fixtures.stories), cache: cache, threads: 1)
        var text = ""
        for try await piece in session.generate("", options: .init(maxTokens: maxTokens)) { text += piece.text }
        return text
    }

    @Test("the full cache writes the documented text", arguments: [CacheType.f16, .f32])
    func fullCacheWritesTheDocumentedText(_ type: CacheType) async throws {
        let text = try await Self.text(CacheOptions(policy: FullPolicy(), elementType: type))
        #expect(text.drop { $0 == " " }.hasPrefix(Self.documented))
    }

    @Test("morphkv with room for the whole text writes the documented text")
    func ampleMorphKVWritesTheDocumentedText() async throws {
        let text = try await Self.text(.morphKV(capacity: 320, window: 16))
        #expect(text.drop { $0 == " " }.hasPrefix(Self.documented))
    }
}
