internal import CLlama

/// The memory in which samplers work; those of one thread can share it.
final class SamplerMemory {
    fileprivate var candidates: [llama_token_data]

    init(vocabularySize: Int) { candidates = Array(repeating: llama_token_data(), count: vocabularySize) }

    /// Bytes held.
    var bytes: Int { candidates.count * MemoryLayout<llama_token_data>.stride }
}

/// A chain of libllama's samplers over our own logits.
///
/// Not Sendable: it remembers the tokens it has seen.
final class Sampler {
    private let chain: UnsafeMutablePointer<llama_sampler>
    private let memory: SamplerMemory
    /// How many of the tokens that it chooses from to note in ``candidates``; nil for none.
    var noted: Int?
    /// The tokens that the last one was chosen from: the most likely, the best first, and the chosen one.
    private(set) var candidates: [Candidate] = []

    /// A token that could be chosen, after all samplers.
    struct Candidate {
        let token: Token
        let logprob: Float
        /// Whether it is there for its probability, and not only because it was chosen.
        var isAmongBest = false
    }

    /// - Parameters:
    ///   - prompt: what the penalties count besides the tokens that will be chosen.
    ///   - memory: shared with other samplers of the same thread; of its own if nil.
    /// - Throws: ``GenerationError`` when an option is out of range.
    init(
        _ options: SamplingOptions, after prompt: [Token], vocabularySize: Int, memory: SamplerMemory? = nil
    ) throws {
        try options.validate(vocabularySize: vocabularySize)
        chain = llama_sampler_chain_init(llama_sampler_chain_default_params())
        self.memory = memory ?? SamplerMemory(vocabularySize: vocabularySize)
        addChanges(options, vocabularySize)
        addChoice(options)
        for token in prompt.suffix(options.penaltyWindow) { llama_sampler_accept(chain, token) }
    }

    /// What changes single logits.
    private func addChanges(_ options: SamplingOptions, _ vocabularySize: Int) {
        if !options.logitBias.isEmpty {
            let biases = options.logitBias.map { llama_logit_bias(token: $0.key, bias: $0.value) }
            add(llama_sampler_init_logit_bias(Int32(vocabularySize), Int32(biases.count), biases))
        }
        let penalizes =
            options.repetitionPenalty != 1 || options.frequencyPenalty != 0 || options.presencePenalty != 0
        if penalizes, options.penaltyWindow > 0 {
            add(
                llama_sampler_init_penalties(
                    Int32(vocabularySize), Int32(clamping: options.penaltyWindow), options.repetitionPenalty,
                    options.frequencyPenalty, options.presencePenalty))
        }
    }

    /// What chooses among the tokens.
    private func addChoice(_ options: SamplingOptions) {
        guard options.temperature > 0 else { return add(llama_sampler_init_greedy()) }
        if options.topK > 0 { add(llama_sampler_init_top_k(Int32(clamping: options.topK))) }
        if options.topP < 1 { add(llama_sampler_init_top_p(options.topP, 1)) }
        if options.minP > 0 { add(llama_sampler_init_min_p(options.minP, 1)) }
        add(llama_sampler_init_temp(options.temperature))
        add(llama_sampler_init_dist(options.seed))
    }

    deinit { llama_sampler_free(chain) }

    private func add(_ sampler: UnsafeMutablePointer<llama_sampler>?) { llama_sampler_chain_add(chain, sampler) }

    /// Chooses a token and remembers it.
    ///
    /// - Throws: ``GenerationError`` of kind `badLogits` if a logit is NaN or infinitely large: libllama sorts them,
    ///   and sorting NaN is undefined in C++.
    func sample(_ logits: [Float]) throws -> Token {
        try fill(logits)
        let token = choose()
        llama_sampler_accept(chain, token)
        return token
    }

    /// Chooses a token that keeps to a grammar, and remembers it.
    ///
    /// - Parameter grammar: goes on by the token.
    /// - Returns: the token; nil where the grammar ends and the vocabulary has no token that says so.
    /// - Throws: ``GenerationError`` of kind `badLogits` as without a grammar, of kind `grammar` if nothing in the
    ///   vocabulary continues a text that keeps to it.
    func sample(_ logits: [Float], within grammar: GrammarState) throws -> Token? {
        try fill(logits)
        var token = choose()
        // Most often it is allowed, and one token is checked much faster than all.
        if !grammar.allows(token) {
            try fill(logits)
            let left = memory.candidates.withUnsafeMutableBufferPointer { grammar.constrain($0) }
            if left == 0, grammar.mayEnd { return nil }
            if left > 0 { token = choose() }
        }
        guard grammar.accept(token) else {
            throw GenerationError(.grammar, "nothing in the vocabulary continues a text that keeps to the grammar")
        }
        llama_sampler_accept(chain, token)
        return token
    }

    /// Makes every token a candidate.
    private func fill(_ logits: [Float]) throws {
        precondition(logits.count == memory.candidates.count, "one logit per token id")
        try memory.candidates.withUnsafeMutableBufferPointer { candidates in
            for (index, logit) in logits.enumerated() {
                guard logit < .infinity else {
                    throw GenerationError(
                        .badLogits, "the model computed \(logit) for token \(index); is its file damaged?")
                }
                candidates[index] = llama_token_data(id: Token(index), logit: logit, p: 0)
            }
        }
    }

    /// The chain's choice among the candidates.
    private func choose() -> Token {
        memory.candidates.withUnsafeMutableBufferPointer { candidates in
            var array = llama_token_data_array(
                data: candidates.baseAddress, size: candidates.count, selected: -1, sorted: false)
            llama_sampler_apply(chain, &array)
            let index = array.selected >= 0 ? Int(array.selected) : 0
            let left = UnsafeBufferPointer(start: array.data, count: array.size)
            if let noted { self.candidates = Self.note(noted, of: left, and: index) }
            return left[index].id
        }
    }

    /// The most likely of the tokens that are left, by what was made of their logits, and the chosen one.
    private static func note(
        _ count: Int, of left: UnsafeBufferPointer<llama_token_data>, and chosen: Int
    ) -> [Candidate] {
        let normalizer = left.map(\.logit).logSumExp
        func candidate(_ index: Int, isAmongBest: Bool) -> Candidate {
            Candidate(
                token: left[index].id, logprob: min(0, Float(Double(left[index].logit) - normalizer)),
                isAmongBest: isAmongBest)
        }
        let best = left.indices.filter { left[$0].logit > -.infinity }.sorted { left[$0].logit > left[$1].logit }
            .prefix(count).map {
                candidate($0, isAmongBest: true)
            }
        return best + (best.contains { $0.token == left[chosen].id } ? [] : [candidate(chosen, isAmongBest: false)])
    }
}
