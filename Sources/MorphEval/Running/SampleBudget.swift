public import Foundation
public import MorphKV

/// The bytes that the cache of each sample may take, and the policy that shares them out.
public struct SampleBudget: Sendable, Hashable {
    /// The policy, without its capacity.
    public let policy: PolicySpecification
    /// The bytes, or the share of those that the full cache of the sample takes at its end.
    public let bytes: ByteBudget
    /// For samples, by their names, the tokens at the end of a run with the full cache; `nil` where there is no such run: then
    /// the answer counts with as many tokens as it may have.
    private let fullTokens: [String: Int]?

    /// Takes a policy and bytes.
    public init(_ policy: PolicySpecification, bytes: ByteBudget) {
        self.policy = policy
        self.bytes = bytes
        fullTokens = nil
    }

    /// Takes a policy, and a share of what each sample took in a run with the full cache.
    ///
    /// - Parameters:
    ///   - policy: The policy, without its capacity.
    ///   - bytes: A share.
    ///   - url: The result file of that run.
    /// - Throws: ``EvaluationError`` if it is none, is of another policy, or does not say how long the sequences became.
    public init(_ policy: PolicySpecification, bytes: ByteBudget, ofFullRun url: URL) throws {
        self.policy = policy
        self.bytes = bytes
        let lines = try RunJudge.lines(of: url)
        fullTokens = try Dictionary(
            lines.map { line in
                guard PolicySpecification.isFull(line.settings.policy) else {
                    throw EvaluationError(
                        .differentRun, file: url, line: line.record.line,
                        "it is of the policy \(line.settings.policy); one with the full cache is needed")
                }
                return (line.id, try line.record.integer("sequence_tokens"))
            }, uniquingKeysWith: { first, _ in first })
    }

    /// The tokens at the end of a sample with the full cache; nil if there is no run that says it.
    ///
    /// - Throws: ``EvaluationError`` of kind `differentSamples` if there is one without this sample.
    func fullTokens(of sample: String) throws -> Int? {
        guard let fullTokens else { return nil }
        // Where questions are asked several times, a run that asked them once will do.
        let question = sample.split(separator: "#").first.map(String.init) ?? sample
        guard let tokens = fullTokens[sample] ?? fullTokens[question] else {
            throw EvaluationError(
                .differentSamples, "the run with the full cache has no sample '\(sample)', so nobody knows its length")
        }
        return tokens
    }

    /// The cache for a sample.
    ///
    /// - Throws: `CacheError` of kind `bytes` if they are too few for the policy.
    func cache(
        _ model: Model, _ options: CacheOptions, for request: EvaluationRequest
    ) throws -> (options: CacheOptions, bytes: Int, entries: Int) {
        let limit = try bytes.bytes(model, options, tokens: request.fullTokens ?? request.mostTokens)
        // What a policy cuts once is the context where there is one, else the whole prompt.
        let prompt =
            request.context.isEmpty ? request.questions.map(\.count).max() ?? 0 : request.context.count
        let fitted = try FittedCache(policy, in: limit, model, options, promptTokens: prompt + request.system.count)
        return (options.with(fitted.policy), limit, fitted.entries)
    }

    /// The policy with a capacity, whichever it will be: what it needs to know of a model does not depend on it.
    func somePolicy() throws -> any CachePolicy {
        var policy = policy
        if policy.lacksCapacity() { try policy.addCapacity(1 << 16) }
        return try PolicyRegistry.standard.policy(policy)
    }
}

extension SampleBudget: CustomStringConvertible {
    /// "1/8 of the full cache at the end of its answer", "64000000 bytes".
    public var description: String {
        guard bytes.isShare else { return "\(bytes) bytes" }
        return "\(bytes) of the full cache at "
            + (fullTokens == nil ? "the longest answer's end" : "its own answer's end")
    }
}

extension PolicySpecification {
    fileprivate static func isFull(_ text: String) -> Bool {
        (try? PolicySpecification(parsing: text))?.name == FullPolicy.descriptor.name
    }
}
