/// One sequence that a ``Scheduler`` is asked to continue.
public struct ServingRequest: Sendable {
    /// The token ids to continue.
    public var prompt: [Token]
    /// The name of the context that the prompt follows; nil if it follows nothing.
    public var context: String?
    /// Which of the prompt's tokens are never evicted; see ``CacheOptions/pins``.
    public var pins: PromptPins
    /// How long and how to generate.
    public var options: GenerationOptions
    /// The cache it wants; the scheduler's if nil.
    public var cache: CacheOptions?
    /// How many of the most likely tokens to report with each token, besides the token itself; nil reports none.
    public var topLogprobs: Int?
    /// After how many tokens to look at the cache each time; nil does not look.
    public var viewInterval: Int?

    /// Creates a request.
    public init(
        prompt: [Token], after context: String? = nil, pins: PromptPins = .none, options: GenerationOptions = .init(),
        cache: CacheOptions? = nil, topLogprobs: Int? = nil, viewInterval: Int? = nil
    ) {
        self.prompt = prompt
        self.context = context
        self.pins = pins
        self.options = options
        self.cache = cache
        self.topLogprobs = topLogprobs
        self.viewInterval = viewInterval
    }
}

/// What one step of an answer gave.
public struct ServingPiece: Sendable {
    /// How an answer ended and what it took.
    public struct End: Sendable, Hashable {
        /// Why it ended.
        public let reason: Generation.FinishReason
        /// Tokens of the prompt, and of the context that it follows.
        public let promptTokens: Int
        /// Those of them that a kept conversation's cache had seen already, or that are the context's.
        public let cachedTokens: Int
        /// Tokens of the answer.
        public let tokens: Int
        /// Tokens of the prompt that are pinned.
        public let pinned: Int
        /// The policy, as text.
        public let policy: String
        /// Entries per KV head at the end; the largest layer's.
        public let slotsUsed: Int
        /// Tokens that a KV head no longer holds, those of a context left out; the largest number of any layer.
        public let evicted: Int
        /// Bytes of the sequence's cache.
        public let cacheBytes: Int
        /// Bytes that a cache which keeps everything would have by now.
        public let fullCacheBytes: Int
        /// The policy's ``CachePolicy/calibratedLength``.
        public let calibratedLength: Int?
    }

    /// Text that is certain by now, valid UTF-8.
    public var text: String
    /// The tokens of that text with their probabilities, if they were asked for.
    public var tokens: [ScoredToken]
    /// What the cache holds, if it was asked for and is due.
    public var view: CacheView?
    /// How the answer ended; nil if more follows.
    public var end: End?
}
