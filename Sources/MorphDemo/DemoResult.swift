internal import Foundation
internal import MorphKV

/// What a method made of the demo's prompts: one line of `morphkv eval demo --json`.
package struct DemoResult: Sendable, Hashable, Encodable {
    /// The policy, as text without its capacity.
    package let policy: String
    /// The type of keys and values, or both types.
    package let cacheType: String
    /// Entries per KV head; the mean over the samples if it is a share of the response, nil if the policy has none.
    package let capacity: Int?
    /// The share of the response, as "1/8", or the bytes that were stated, as "64000 bytes"; nil if the capacity is a number
    /// of entries.
    package let share: String?
    /// Prompts.
    package let samples: Int
    /// Entries that exist, in percent of those asked for.
    package let completionRate: Double
    /// Instructions for one week that were honoured, in percent.
    package let once: Double
    /// Instructions for a run of weeks, in percent.
    package let range: Double
    /// Instructions for every so many weeks, in percent.
    package let periodic: Double
    /// Plans of the answer's own, in percent.
    package let plan: Double
    /// Bytes of the cache at the end; the most of any sample.
    package let cacheBytes: Int
    /// Bytes of tables that sequences share: those of a calibration.
    package let sharedBytes: Int
    /// Bytes of cache and tables at the end; the mean over the samples.
    package let bytes: Int
    /// Bytes that the full cache, stored in f16, takes for that share of the response, the mean over the samples, or those that
    /// were stated; nil without either.
    package let budget: Int?
    /// The cache's with the intermediate results of the computation.
    package let peakBytes: Int
    /// Tokens written per second after the prompt.
    package let tokensPerSecond: Double
    /// Tokens written to a prompt, on average.
    package let responseTokens: Int
    /// Answers that the model ended itself.
    package let finished: Int

    /// For each kind of check and each prompt, the checks passed and all.
    package let diaries: [String: [[Int]]]

    init(_ method: DemoMethod, _ outcomes: [DemoEvaluation.Outcome], storage: DiaryStorage = DiaryStorage()) {
        policy = method.policy
        cacheType = storage.description
        samples = outcomes.count
        let count = max(1, outcomes.count)
        let entries = outcomes.compactMap(\.entries)
        capacity = entries.isEmpty ? nil : entries.reduce(0, +) / entries.count
        diaries = Dictionary(
            uniqueKeysWithValues: DiaryScore.CheckKind.allCases.map { kind in
                (kind.rawValue, outcomes.map { [$0.score.passed(kind), $0.score.checks(kind)] })
            })
        let isKnown = method.needsResponseLength || method.capacity?.isBytes == true
        share = isKnown ? method.capacity?.description : nil
        var score = DiaryScore()
        for outcome in outcomes { score += outcome.score }
        func percent(_ kind: DiaryScore.CheckKind) -> Double { (score.percent(kind) * 100).rounded() / 100 }
        completionRate = percent(.completion)
        once = percent(.once)
        range = percent(.range)
        periodic = percent(.periodic)
        plan = percent(.plan)
        cacheBytes = outcomes.map(\.cacheBytes).max() ?? 0
        peakBytes = outcomes.map(\.peakBytes).max() ?? 0
        sharedBytes = outcomes.map(\.sharedBytes).max() ?? 0
        bytes = outcomes.reduce(0) { $0 + $1.cacheBytes + $1.sharedBytes } / count
        let budgets = outcomes.compactMap(\.budget)
        budget = budgets.isEmpty ? nil : budgets.reduce(0, +) / budgets.count
        let seconds = outcomes.reduce(0) { $0 + $1.seconds }
        let rate = seconds > 0 ? Double(outcomes.reduce(0) { $0 + $1.tokensAfterFirst }) / seconds : 0
        tokensPerSecond = (rate * 10).rounded() / 10
        responseTokens = outcomes.reduce(0) { $0 + $1.tokens } / count
        finished = outcomes.count(where: \.isFinished)
    }

    private enum CodingKeys: String, CodingKey {
        case policy, cacheType, capacity, share, samples, completionRate, once, range, periodic, plan, cacheBytes,
            sharedBytes, bytes
        case budget, peakBytes, tokensPerSecond, responseTokens, finished, diaries
    }

    /// Writes every field, null where there is no value.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(policy, forKey: .policy)
        try container.encode(cacheType, forKey: .cacheType)
        try container.encode(capacity, forKey: .capacity)
        try container.encode(share, forKey: .share)
        try container.encode(samples, forKey: .samples)
        try container.encode(completionRate, forKey: .completionRate)
        try container.encode(once, forKey: .once)
        try container.encode(range, forKey: .range)
        try container.encode(periodic, forKey: .periodic)
        try container.encode(plan, forKey: .plan)
        try container.encode(cacheBytes, forKey: .cacheBytes)
        try container.encode(sharedBytes, forKey: .sharedBytes)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(budget, forKey: .budget)
        try container.encode(peakBytes, forKey: .peakBytes)
        try container.encode(tokensPerSecond, forKey: .tokensPerSecond)
        try container.encode(responseTokens, forKey: .responseTokens)
        try container.encode(finished, forKey: .finished)
        try container.encode(diaries, forKey: .diaries)
    }

    /// The checks of one kind that were passed, in percent.
    package func percent(_ kind: DiaryScore.CheckKind) -> Double {
        switch kind {
        case .completion: completionRate
        case .once: once
        case .range: range
        case .periodic: periodic
        case .plan: plan
        }
    }

    /// The mean over all kinds of instructions, plans included, of the percent that were honoured.
    package var accuracy: Double { (once + range + periodic + plan) / 4 }

    /// The names of the columns of a table of results.
    package static let tableHeader = [
        "policy", "bytes", "capacity", "completion", "once", "range", "periodic", "plan", "most", "peak", "tokens/s",
    ]

    /// The cells of the result's row in such a table.
    package var tableRow: [String] {
        let entries = capacity.map { "\($0)" }
        let own = policy == FullPolicy.descriptor.name ? "all" : "its own"
        return [policy, Self.kilobytes(bytes), share.map { "\($0) (\(entries ?? ""))" } ?? entries ?? own]
            + DiaryScore.CheckKind.allCases.map { String(format: "%.1f", percent($0)) }
            + [
                Self.kilobytes(cacheBytes + sharedBytes), Self.kilobytes(peakBytes + sharedBytes),
                String(format: "%.0f", tokensPerSecond),
            ]
    }

    private static func kilobytes(_ bytes: Int) -> String { "\((bytes + 500) / 1000) KB" }
}
