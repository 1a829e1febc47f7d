internal import Foundation

/// What a context still knows after it was cut: how well the model repeats it, and how many questions it answers.
public struct Recall: Sendable, Hashable, Codable {
    /// By what a context is cut.
    public enum Method: String, Sendable, Hashable, Codable, CaseIterable {
        /// KVzip, among all layers and heads.
        case kvzipPair = "kvzip pair"
        /// KVzip, within each head.
        case kvzipUniform = "kvzip uniform"
        /// KVzip's scores with one budget per layer.
        case kvzipLayer = "kvzip layer"
        /// KVzip, whole heads.
        case kvzipHead = "kvzip head"
        /// What the model's calibration foresees, among all layers and heads.
        case augurPair = "augur pair"
        /// The same within each head.
        case augurUniform = "augur uniform"
        /// The same with one budget per layer.
        case augurLayer = "augur layer"
        /// The same by whole heads.
        case augurHead = "augur head"
        /// What the text's last queries attend to, smoothed, within each head.
        case snapkv
        /// What all of the text's queries attend to, within each head.
        case h2o
        /// By lot, within each head.
        case random

        /// Whether the model's calibration is needed.
        public var needsCalibration: Bool {
            switch self {
            case .augurPair, .augurUniform, .augurLayer, .augurHead: true
            default: false
            }
        }
    }

    /// A question with the beginning of the only right answer.
    public struct Question: Sendable, Hashable, Codable {
        /// What follows the text.
        public var question: String
        /// How the answer must begin.
        public var answer: String

        /// Creates a question.
        public init(question: String, answer: String) {
            self.question = question
            self.answer = answer
        }
    }

    /// By what the context was cut.
    public var method: Method
    /// The share of its entries that stayed.
    public var ratio: Double
    /// Bytes of the context.
    public var bytes: Int
    /// Seconds to find the scores, which all ratios and levels share, and to cut; the reading of the text left out.
    public var seconds: Double
    /// Mean log-likelihood of the text's tokens in nats, when the model is asked to repeat it.
    public var logLikelihood: Double
    /// Questions that were answered right.
    public var right: Int
    /// Questions that were asked.
    public var questions: Int

    /// Cuts copies of a context by one method and measures each.
    ///
    /// - Parameters:
    ///   - whole: a context of which nothing was cut.
    ///   - method: by what it is cut.
    ///   - ratios: the shares that stay, one result each.
    ///   - questions: what is asked of what is left.
    ///   - prompt: how the model is asked to repeat it.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    /// - Throws: what compressing and generating throw.
    public static func measure(
        _ whole: CompressedContext, _ method: Method, ratios: [Double], questions: [Question],
        prompt: ReconstructionPrompt = .init(), threads: Int? = nil
    ) throws -> [Recall] {
        let known = try whole.recallScores(method, prompt, threads: threads)
        return try ratios.map { ratio in
            var context = whole
            let cutting = try ContinuousClock().measure {
                try context.compress(by: known.scores, ratio: ratio, level: method.level)
            }
            let right = try questions.filter { try context.answers($0, threads: threads) }.count
            return Recall(
                method: method, ratio: ratio, bytes: context.statistics.allocatedBytes,
                seconds: known.seconds + cutting / .seconds(1),
                logLikelihood: try context.repetitionLogLikelihood(prompt, threads: threads), right: right,
                questions: questions.count)
        }
    }
}

extension Recall.Method {
    fileprivate var level: Compression.Level {
        switch self {
        case .kvzipPair, .augurPair: .pair
        case .kvzipLayer, .augurLayer: .layer(alpha: 0.2)
        case .kvzipHead, .augurHead: .head(sinks: 0, recent: 0)
        case .kvzipUniform, .augurUniform, .snapkv, .h2o, .random: .uniform
        }
    }
}

extension CompressedContext {
    /// The last positions, which the policies that look at the text once keep without question.
    private static let window = 32

    fileprivate func recallScores(
        _ method: Recall.Method, _ prompt: ReconstructionPrompt, threads: Int?
    ) throws -> KnownScores {
        let room = tokens.count + Self.window + 2
        switch method {
        case .kvzipPair, .kvzipUniform, .kvzipLayer, .kvzipHead:
            return try knownScores(.reconstruction(prompt), threads: threads) { _ in }
        case .augurPair, .augurUniform, .augurLayer, .augurHead:
            return try knownScores(.calibration, threads: threads) { _ in }
        case .snapkv:
            let rule = PromptRule(promptCapacity: room, window: Self.window, poolingWidth: 5, pooling: .avg)
            return try promptScores(MorphKVPolicy(capacity: room, window: Self.window), threads: threads) {
                rule.pool($0)
            }
        case .h2o:
            return try promptScores(H2OPolicy(capacity: room, window: Self.window), threads: threads) { $0 }
        case .random:
            var random = SplitMix64(seed: 1)
            return try promptScores(H2OPolicy(capacity: room, window: Self.window), threads: threads) {
                $0.map { _ in Float(random.next() >> 40) }
            }
        }
    }

    /// Scores that a policy with room for everything finds while the text is read.
    private func promptScores(
        _ policy: any CachePolicy, threads: Int?, _ change: ([Float]) -> [Float]
    ) throws -> KnownScores {
        let start = ContinuousClock.now
        let engine = try Engine(model, options(policy), threads: Self.threads(threads))
        try engine.prefill(tokens)
        let length = tokens.count - systemTokens
        let scores = EntryScores(
            values: zip(engine.cache.layers, model.description.layers).map { layer, description in
                guard description.slidingWindow == nil, let scores = layer.scores else { return nil }
                return scores.state.table(scores.entries(), seen: tokens.count, origin: 0)[0].map { sums in
                    var scores = change(Array(sums.dropFirst(systemTokens)))
                    for index in max(0, length - Self.window)..<length { scores[index] = .infinity }
                    return scores
                }
            }, tokens: length)
        return KnownScores(
            origin: .reconstruction(nil), scores: scores, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    fileprivate func repetitionLogLikelihood(_ prompt: ReconstructionPrompt, threads: Int?) throws -> Double {
        let engine = try engine(threads: threads)
        var (sum, count) = (0.0, 0)
        for part in try Reconstruction.parts(of: tokens, after: systemTokens, prompt, model) {
            engine.clear()
            try engine.prefill(Array(part.input.dropLast(part.chunk.count)))
            for token in part.input.suffix(part.chunk.count) {
                sum += Double(engine.logits[Int(token)]) - engine.logits.logSumExp
                count += 1
                try engine.decode(token)
            }
        }
        return sum / Double(max(1, count))
    }

    fileprivate func answers(_ question: Recall.Question, threads: Int?) throws -> Bool {
        try engine(threads: threads).answers(question)
    }
}

extension Engine {
    /// Whether the greedy answer to a question, which comes after what was fed, begins as it must.
    ///
    /// - Throws: ``GenerationError`` of kind `noTokenizer` if the model has none; what feeding throws.
    func answers(_ question: Recall.Question) throws -> Bool {
        guard let tokenizer = model.tokenizer else {
            throw GenerationError(.noTokenizer, "the model has no tokenizer; it cannot be asked")
        }
        try prefill(tokenizer.encode(question.question, addSpecial: false, parseSpecial: true))
        var bytes: [UInt8] = []
        let wanted = Array(question.answer.utf8)
        while bytes.count < wanted.count {
            let best = Token(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
            let piece = tokenizer.bytes(of: best)
            guard !piece.isEmpty, !tokenizer.endsGeneration(best) else { return false }
            bytes += piece
            guard zip(bytes, wanted).allSatisfy({ $0 == $1 }) else { return false }
            try decode(best)
        }
        return true
    }
}
