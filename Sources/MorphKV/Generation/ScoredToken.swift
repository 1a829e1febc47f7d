/// A token with its probability and those of the most likely ones in its place.
public struct ScoredToken: Sendable, Hashable {
    /// A token that could have been chosen.
    public struct Candidate: Sendable, Hashable {
        /// The token.
        public let token: Token
        /// Its bytes, which may be a part of a character only.
        public let bytes: [UInt8]
        /// The natural logarithm of its probability.
        public let logprob: Float
    }

    /// The token that was chosen.
    public let chosen: Candidate
    /// The most likely ones, the best first.
    public let top: [Candidate]

    /// Reads the model's own distribution, before temperature, penalties and biases.
    init(_ token: Token, in logits: [Float], top count: Int, tokenizer: Tokenizer?) {
        let normalizer = logits.logSumExp
        func candidate(_ token: Int) -> Candidate {
            Candidate(
                token: Token(token), bytes: tokenizer?.bytes(of: Token(token), special: true) ?? [],
                logprob: Float(Double(logits[token]) - normalizer))
        }
        chosen = candidate(Int(token))
        top = Self.best(count, of: logits).map(candidate)
    }

    /// Takes the distribution that the token was chosen by.
    ///
    /// - Parameter candidates: the most likely tokens after all samplers, the best first, and the token itself.
    init(_ token: Token, among candidates: [Sampler.Candidate], tokenizer: Tokenizer?) {
        func candidate(_ found: Sampler.Candidate) -> Candidate {
            Candidate(
                token: found.token, bytes: tokenizer?.bytes(of: found.token, special: true) ?? [],
                logprob: found.logprob)
        }
        chosen = candidate(candidates.first { $0.token == token } ?? .init(token: token, logprob: 0))
        top = candidates.filter(\.isAmongBest).map(candidate)
    }

    /// The indices of the largest values, the largest first.
    private static func best(_ count: Int, of logits: [Float]) -> [Int] {
        var best: [Int] = []
        for index in count > 0 ? logits.indices : 0..<0 {
            if best.count == count, logits[best[count - 1]] >= logits[index] { continue }
            let place = best.firstIndex { logits[$0] < logits[index] } ?? best.count
            best.insert(index, at: place)
            if best.count > count { best.removeLast() }
        }
        return best
    }
}
