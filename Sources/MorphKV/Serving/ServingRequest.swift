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
    /// The number of the slot that it must have; any if nil. See ``Scheduler/slots``.
    public var slot: Int?
    /// Whether it may go on from the cache of an ended answer.
    public var usesKeptCaches = true
    /// Whether pieces have the token ids of the answer.
    public var reportsTokens = false
    /// Whether the probabilities are those that tokens were chosen by, after all samplers, instead of the model's own.
    public var reportsSampling = false
    /// Whether pieces say how far the prompt is.
    public var reportsProgress = false
    /// Whether pieces have the probabilities of the prompt's own tokens, by ``topLogprobs``. The prompt is then fed token by
    /// token to an empty cache, as `Perplexity` does, and the answer may have no tokens.
    public var scoresPrompt = false
    /// Something that is kept as long as the request is.
    package var share: (any Sendable)?
    /// Its hold on the context, from when it waits to its end.
    var use: ContextUse?

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
        /// The stop string that ended it; nil if something else did.
        public let stop: String?
        /// The number of its slot.
        public let slot: Int
        /// What took how long.
        public let timings: ServingTimings
        /// The name of the context that the prompt follows; nil if it follows none.
        public var context: String?
    }

    /// How far a prompt is.
    public struct Progress: Sendable, Hashable {
        /// Tokens of the prompt.
        public let total: Int
        /// Those of them that a kept cache had seen.
        public let cached: Int
        /// Those that are read by now, the cached ones included.
        public let processed: Int
    }

    /// Text that is certain by now, valid UTF-8.
    public var text: String
    /// The tokens of that text with their probabilities, if they were asked for.
    public var tokens: [ScoredToken]
    /// What the cache holds, if it was asked for and is due.
    public var view: CacheView?
    /// How the answer ended; nil if more follows.
    public var end: End?
    /// The answer's tokens since the last piece, if they were asked for.
    public var ids: [Token] = []
    /// How far the prompt is, if it was asked for.
    public var progress: Progress?
    /// The prompt's tokens with their probabilities, if they were asked for: those read since the last piece, without the
    /// prompt's first, which nothing comes before.
    public var prompt: [ScoredToken] = []
    /// What took how long so far.
    public var timings = ServingTimings()
    /// The number of the slot that it comes from.
    public var slot = 0
}

/// How long the parts of an answer took.
public struct ServingTimings: Sendable, Hashable {
    /// Tokens of the prompt that were computed.
    public var promptTokens = 0
    /// Tokens of the prompt that a kept cache had seen.
    public var cachedTokens = 0
    /// Seconds from the request's turn to its first token; without one, to the last part of the prompt that was read.
    public var promptSeconds = 0.0
    /// Tokens of the answer.
    public var tokens = 0
    /// Seconds from its first token to its last.
    public var tokenSeconds = 0.0
}
