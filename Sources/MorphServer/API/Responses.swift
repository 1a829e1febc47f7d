#if Server
internal import MorphKV

/// What is counted.
struct Usage: Encodable, Sendable {
    struct PromptDetails: Encodable, Sendable {
        var cachedTokens = 0
    }

    var promptTokens = 0
    var completionTokens = 0
    var totalTokens = 0
    var promptTokensDetails = PromptDetails()

    /// Adds an answer; the prompt of several answers to one question counts once.
    mutating func add(_ end: ServingPiece.End, countsPrompt: Bool) {
        if countsPrompt {
            promptTokens += end.promptTokens
            promptTokensDetails.cachedTokens += end.cachedTokens
        }
        completionTokens += end.tokens
        totalTokens = promptTokens + completionTokens
    }
}

/// What the extension field of a response says about the cache.
struct CacheReport: Encodable, Sendable {
    var policy: String
    var slotsUsed: Int
    var evicted: Int
    var pinned: Int
    var cacheBytes: Int
    var fullCacheBytes: Int

    init(_ end: ServingPiece.End) {
        policy = end.policy
        slotsUsed = end.slotsUsed
        evicted = end.evicted
        pinned = end.pinned
        cacheBytes = end.cacheBytes
        fullCacheBytes = end.fullCacheBytes
    }
}

/// The extension field of a response or of a part of one.
struct ResponseExtension: Encodable, Sendable {
    var cache: CacheReport?
    var view: CacheView?
    /// The context that the prompt follows.
    var context: String?

    init?(_ piece: ServingPiece) {
        guard piece.view != nil || piece.end != nil else { return nil }
        cache = piece.end.map(CacheReport.init)
        view = piece.view
        context = piece.end?.context
    }
}

/// A prompt as the model saw it, with the names of special tokens.
struct SeenPrompt: Encodable, Sendable {
    var prompt: String
}

/// A whole response, or a part of a streamed one.
struct APIResponse<Choice: Encodable & Sendable>: Encodable, Sendable {
    var id: String
    var object: String
    var created: Int
    var model: String
    /// Which build computed it.
    var systemFingerprint = PackageVersion.fingerprint
    var choices: [Choice]
    var usage: Usage?
    var timings: Timings?
    var promptProgress: PromptProgress?
    var morphkv: ResponseExtension?
    /// The prompt as the model saw it, if it was asked for.
    var seen: SeenPrompt?

    private enum CodingKeys: String, CodingKey {
        case id, object, created, model, systemFingerprint, choices, usage, timings, promptProgress, morphkv
        case seen = "__verbose"
    }
}

/// Probabilities as chats state them.
struct ChatLogprobs: Encodable, Sendable {
    struct Candidate: Encodable, Sendable {
        var token: String
        var logprob: Float
        var bytes: [UInt8]

        init(_ candidate: ScoredToken.Candidate) {
            token = String(decoding: candidate.bytes, as: UTF8.self)
            logprob = candidate.logprob
            bytes = candidate.bytes
        }
    }

    struct Item: Encodable, Sendable {
        var token: String
        var logprob: Float
        var bytes: [UInt8]
        var topLogprobs: [Candidate]
    }

    var content: [Item]

    init(_ tokens: [ScoredToken]) {
        content = tokens.map { token in
            let chosen = Candidate(token.chosen)
            return Item(
                token: chosen.token, logprob: chosen.logprob, bytes: chosen.bytes,
                topLogprobs: token.top.map(Candidate.init))
        }
    }
}

/// Probabilities as plain completions state them.
struct TextLogprobs: Encodable, Sendable {
    var tokens: [String]
    var tokenLogprobs: [Float?]
    var topLogprobs: [[String: Float]?]
    var textOffset: [Int]

    /// - Parameters:
    ///   - first: the text of a token that comes before and has no probability: a prompt's first.
    ///   - offset: characters of the answer before these tokens.
    init(_ scored: [ScoredToken], after first: String? = nil, offset: Int) {
        let before = first.map { [$0] } ?? []
        tokens = before + scored.map { String(decoding: $0.chosen.bytes, as: UTF8.self) }
        tokenLogprobs = before.map { _ in Float?.none } + scored.map { Float?($0.chosen.logprob) }
        let top: [[String: Float]?] = scored.map { token in
            Dictionary(
                token.top.map { (String(decoding: $0.bytes, as: UTF8.self), $0.logprob) }, uniquingKeysWith: max)
        }
        topLogprobs = Array(repeating: nil, count: before.count) + top
        var next = offset
        textOffset = tokens.map { token in
            defer { next += token.count }
            return next
        }
    }
}

/// One answer of a whole chat response.
struct ChatChoice: Encodable, Sendable {
    struct Message: Encodable, Sendable {
        var role = "assistant"
        var content: String
    }

    var index: Int
    var message: Message
    var logprobs: ChatLogprobs?
    var finishReason: String
}

/// A part of one answer of a streamed chat response.
struct ChatDelta: Encodable, Sendable {
    struct Delta: Encodable, Sendable {
        var role: String?
        var content: String?

        /// The opening, which says who speaks, has no text yet and says so.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            guard role != nil else { return try container.encodeIfPresent(content, forKey: .content) }
            try container.encode(role, forKey: .role)
            try container.encode(content, forKey: .content)
        }

        private enum CodingKeys: CodingKey { case role, content }
    }

    var index: Int
    var delta: Delta
    var logprobs: ChatLogprobs?
    var finishReason: String?

    /// `finish_reason` is always there, as clients expect.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(index, forKey: .index)
        try container.encode(delta, forKey: .delta)
        try container.encodeIfPresent(logprobs, forKey: .logprobs)
        try container.encode(finishReason, forKey: .finishReason)
    }

    private enum CodingKeys: CodingKey { case index, delta, logprobs, finishReason }
}

/// One answer of a plain completion, whole or in part.
struct TextChoice: Encodable, Sendable {
    var index: Int
    var text: String
    var logprobs: TextLogprobs?
    var finishReason: String?

    /// `logprobs` and `finish_reason` are always there, as clients expect.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(index, forKey: .index)
        try container.encode(text, forKey: .text)
        try container.encode(logprobs, forKey: .logprobs)
        try container.encode(finishReason, forKey: .finishReason)
    }

    private enum CodingKeys: CodingKey { case index, text, logprobs, finishReason }
}
#endif
