internal import Foundation
public import MorphKV

/// A comparison of runs: one table, and one page with the same table and charts.
public struct EvaluationReport: Sendable {
    /// The runs that share everything but the dataset: one row of the table.
    struct Row: Sendable {
        let key: EvaluationSettings
        let model: String
        let policy: String
        /// The policy without its capacity.
        let family: String
        let remarks: String
        var runs: [EvaluationRun]

        /// Bytes of the cache at the end of an answer: the mean over the runs of that over the samples.
        var meanBytes: Int { runs.reduce(0) { $0 + $1.meanCacheBytes } / max(1, runs.count) }
    }

    /// One column of the table: a score on a dataset.
    struct Column: Sendable, Hashable {
        let dataset: String
        let score: String
    }

    let rows: [Row]
    let columns: [Column]
    /// How the rows differ from one of them; nil if that is not asked.
    private(set) var comparison: BaseComparison?
    /// What papers published about the same benchmarks, to be laid beside the rows; `nil` for nothing.
    public var published: PublishedFigures?
    /// What a reader has to know to compare the numbers.
    public private(set) var notes: [String]

    /// Arranges runs.
    ///
    /// - Parameters:
    ///   - runs: What is compared, one row each.
    ///   - policies: What knows which parameter of a policy is its capacity; runs that differ in it only are one series.
    ///     Of policies that it does not know it is the one named `capacity` or `promptCapacity`.
    ///   - allowsDifferentSamples: Whether runs on different samples are compared all the same, and the difference is named
    ///     in ``notes``.
    ///   - base: One of the runs. All others are compared with the row that it stands in, sample by sample.
    /// - Throws: ``EvaluationError`` of kind `differentSamples` naming the difference, or `differentRun` if two runs are
    ///   the same.
    public init(
        _ runs: [EvaluationRun], policies: PolicyRegistry = .standard, allowsDifferentSamples: Bool = false,
        comparedTo base: EvaluationRun? = nil
    ) throws {
        let differences = SampleComparison.differences(among: runs)
        guard differences.isEmpty || allowsDifferentSamples else {
            throw EvaluationError(.differentSamples, differences.joined(separator: "\n"))
        }
        rows = try Self.rows(runs, policies)
        columns = runs.flatMap { run in run.scores.map { Column(dataset: run.dataset, score: $0.name) } }
            .reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        let methods = [
            """
            Scores in percent, with the 95 % interval in brackets (bootstrap over samples, of a question that \
            was asked several times over all of its answers together, percentile method, \(EvaluationScore.resamples) \
            resamples, fixed seed) and the number of samples.
            """,
            """
            Bytes are those of the cache at the end of an answer, the mean over the samples, everything counted that a policy \
            keeps, a calibration's tables too; most and peak are the largest of any sample, and the peak adds the intermediate \
            results. Speed is that of one sequence while it writes.
            """,
        ]
        let remarks = [
            Self.budgets(runs), Self.limits(runs), runs.compactMap(\.missing), Self.unjudged(runs), differences,
        ]
        let made = [Self.sampling(runs), Self.commands(runs)]
        notes = ([methods] + remarks + made).flatMap(\.self)
        guard let key = base?.settings.rowKey, let index = rows.firstIndex(where: { $0.key == key }) else { return }
        let comparison = BaseComparison(self, base: index)
        self.comparison = comparison
        notes = ([methods] + remarks + [comparison.notes(self)] + made).flatMap(\.self)
    }

    /// What caches were allowed, where bytes were stated.
    private static func budgets(_ runs: [EvaluationRun]) -> [String] {
        runs.compactMap { run in
            guard let allowed = run.budgetBytes, let entries = run.meanCapacity else { return nil }
            return
                "\(run.name): \(allowed) bytes were allowed (\(run.settings.budget ?? "")), room for \(entries) entries per "
                + "KV head, both the mean over the samples."
        }
    }

    /// How tokens were chosen, which every reader needs to repeat a run.
    private static func sampling(_ runs: [EvaluationRun]) -> [String] {
        let ways = Set(runs.map { "\($0.settings.sampling), seed \($0.settings.seed)" }).sorted()
        return ways.isEmpty ? [] : ["Sampling: \(ways.joined(separator: "; "))."]
    }

    /// The calls that made the runs, as far as their files say.
    private static func commands(_ runs: [EvaluationRun]) -> [String] {
        runs.flatMap { run in run.commands.map { "\(run.name): `\($0)`" } }
    }

    private static func unjudged(_ runs: [EvaluationRun]) -> [String] {
        runs.filter { !$0.unjudged.isEmpty }.map { run in
            let names = run.unjudged.map(\.lastPathComponent).joined(separator: ", ")
            return "\(run.name): the verdicts do not count, for there are none on \(names)."
        }
    }

    /// A row's policy, and its model and settings where rows differ in them.
    func name(of row: Int) -> String {
        let models = Set(rows.map(\.model)).count > 1 ? "\(rows[row].model), " : ""
        return models + rows[row].policy + (rows[row].remarks.isEmpty ? "" : ", \(rows[row].remarks)")
    }

    private static func rows(_ runs: [EvaluationRun], _ policies: PolicyRegistry) throws -> [Row] {
        let keys = runs.map(\.settings.rowKey)
        var rows: [Row] = []
        for run in runs {
            let key = run.settings.rowKey
            guard let index = rows.firstIndex(where: { $0.key == key }) else {
                let family = PolicySpecification.family(of: run.settings.policy, in: policies)
                rows.append(
                    Row(
                        key: key, model: key.model,
                        policy: key.policy + (key.budget.map { ", \($0)" } ?? ""), family: family,
                        remarks: key.remarks(among: keys),
                        runs: [run]))
                continue
            }
            if let twin = rows[index].runs.first(where: { $0.dataset == run.dataset }) {
                throw EvaluationError(
                    .differentRun, file: run.url,
                    "it is of the same policy and dataset as \(twin.name)")
            }
            rows[index].runs.append(run)
        }
        return rows.sorted {
            ($0.model, $0.family, $0.key.capacity ?? 0, $0.meanBytes)
                < ($1.model, $1.family, $1.key.capacity ?? 0, $1.meanBytes)
        }
    }

    /// The limits on tokens, where runs on one dataset differ in them.
    private static func limits(_ runs: [EvaluationRun]) -> [String] {
        Dictionary(grouping: runs, by: \.dataset).sorted { $0.key < $1.key }.compactMap { dataset, runs in
            let limits = runs.map { run in
                [("answer", run.settings.maximumNewTokens), ("prompt", run.settings.maximumPromptTokens)].map {
                    "\($0) \($1.map(String.init) ?? "as published")"
                }.joined(separator: ", ")
            }
            guard Set(limits).count > 1 else { return nil }
            let list = zip(runs, limits).map { "\($0.name) (\($1))" }.joined(separator: "; ")
            return "The runs on \(dataset) have different limits of tokens: \(list)."
        }
    }

    func score(_ row: Row, _ column: Column) -> EvaluationScore? {
        row.runs.first { $0.dataset == column.dataset }?.scores.first { $0.name == column.score }
    }
}

extension EvaluationSettings {
    /// The settings without what may differ between the datasets of one row.
    fileprivate var rowKey: EvaluationSettings {
        var key = self
        key.benchmark = ""
        key.dataset = ""
        key.samples = 0
        key.selection = ""
        key.maximumNewTokens = nil
        key.maximumPromptTokens = nil
        return key
    }

    /// What else tells a row from the others.
    fileprivate func remarks(among keys: [EvaluationSettings]) -> String {
        var parts: [String] = []
        if Set(keys.map(\.modelFingerprint)).count > Set(keys.map(\.model)).count { parts.append(modelFingerprint) }
        if Set(keys.map(\.cache)).count > 1 { parts.append(cache) }
        if Set(keys.map(\.usesChatTemplate)).count > 1 { parts.append(usesChatTemplate ? "chat template" : "raw") }
        if Set(keys.map(\.contextLength)).count > 1 {
            parts.append("context \(contextLength.map(String.init) ?? "as trained")")
        }
        if Set(keys.map(\.sampling)).count > 1 { parts.append(sampling) }
        if Set(keys.map(\.seed)).count > 1 { parts.append("seed \(seed)") }
        return parts.joined(separator: ", ")
    }
}

extension PolicySpecification {
    /// A policy without its capacity, as text; of one that nobody knows, without what is usually called so.
    static func family(of policy: String, in policies: PolicyRegistry) -> String {
        guard var specification = try? PolicySpecification(parsing: policy) else { return policy }
        if (try? policies.descriptor(named: specification.name)) != nil {
            specification.removeCapacity(in: policies)
        } else {
            specification.remove("capacity")
            specification.remove("promptCapacity")
        }
        return specification.description
    }
}
