/// What a ``Scheduler`` may use and how much it takes on.
public struct ServingOptions: Sendable {
    /// The cache of a sequence whose request names no other.
    public var cache: CacheOptions
    /// Tokens that a sequence can have under a policy whose cache grows; policies of constant size do not need it.
    public var tokensPerSequence: Int
    /// Sequences that are computed at a time.
    public var parallel: Int
    /// Caches beside those of `parallel`, so that the prefix cache has room for more ended answers.
    public var spareCaches: Int
    /// Requests that may wait for a sequence to become free.
    public var queueLimit: Int
    /// Tokens of a prompt that are processed between two steps of the answers that are being written.
    public var promptChunk: Int
    /// Tokens that a prompt may have.
    public var maxPromptTokens: Int
    /// Tokens that an answer may have.
    public var maxTokens: Int
    /// How long a request may take, waiting included.
    public var timeLimit: Duration
    /// How long an answer that nobody reads pauses before it is ended.
    public var readLimit: Duration
    /// CPU threads.
    public var threads: Int
    /// Texts that were read before, by the names that requests give; all sequences share their entries.
    public var contexts: [String: CompressedContext] = [:]
    /// Where texts are kept that are compressed while requests are answered; nil if none are.
    public var contextFolder: ContextFolder?

    /// Creates options.
    public init(
        cache: CacheOptions, tokensPerSequence: Int = 4096, parallel: Int = 4, spareCaches: Int = 0,
        queueLimit: Int = 64, promptChunk: Int = 256, maxPromptTokens: Int = 32768, maxTokens: Int = 4096,
        timeLimit: Duration = .seconds(600), readLimit: Duration = .seconds(60), threads: Int? = nil
    ) {
        self.cache = cache
        self.tokensPerSequence = tokensPerSequence
        self.parallel = parallel
        self.spareCaches = spareCaches
        self.queueLimit = queueLimit
        self.promptChunk = promptChunk
        self.maxPromptTokens = maxPromptTokens
        self.maxTokens = maxTokens
        self.timeLimit = timeLimit
        self.readLimit = readLimit
        // All threads meet after every operation: one core stays for everything else, so that none of them is late.
        self.threads = threads ?? max(1, Processors.usable - 1)
    }

    /// How texts are read that become contexts: everything stays, stored as in the scheduler's own caches.
    var wholeTexts: CacheOptions {
        CacheOptions(
            policy: FullPolicy(), elementType: cache.keyType, valueType: cache.valueType, attention: cache.attention)
    }

    func validate() throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw ServingError(.invalidRequest, what) }
        }
        try require((1...1024).contains(parallel), "\(parallel) sequences at a time: 1 to 1024 are possible")
        try require((0...1024).contains(spareCaches), "\(spareCaches) spare caches: 0 to 1024 are possible")
        try require((0...1 << 20).contains(queueLimit), "\(queueLimit) waiting requests: 0 to \(1 << 20) are possible")
        try require((1...4096).contains(promptChunk), "prompts in parts of \(promptChunk): 1 to 4096 are possible")
        try require(
            (1...1 << 24).contains(maxPromptTokens), "prompts of \(maxPromptTokens) tokens: 1 or more are needed")
        try require((1...1 << 24).contains(maxTokens), "answers of \(maxTokens) tokens: 1 or more are needed")
        try require(
            (2...1 << 24).contains(tokensPerSequence), "\(tokensPerSequence) tokens per sequence: 2 or more are needed")
        try contextFolder?.validate()
        try require(timeLimit > .zero && readLimit > .zero, "time limits must be longer than nothing")
    }
}
