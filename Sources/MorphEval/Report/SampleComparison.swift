internal import Foundation

/// Whether runs were made on the same samples, and if not, in what they differ.
enum SampleComparison {
    /// For each dataset, in what other runs differ from its first.
    static func differences(among runs: [EvaluationRun]) -> [String] {
        var firstOfDataset: [String: EvaluationRun] = [:]
        return runs.compactMap { run in
            guard let first = firstOfDataset[run.dataset] else {
                firstOfDataset[run.dataset] = run
                return nil
            }
            return difference(first, run)
        }
    }

    private static func difference(_ first: EvaluationRun, _ second: EvaluationRun) -> String? {
        let mine = Dictionary(uniqueKeysWithValues: first.lines.map { ($0.id, $0.digest) })
        let theirs = Dictionary(uniqueKeysWithValues: second.lines.map { ($0.id, $0.digest) })
        let onlyMine = first.lines.map(\.id).filter { theirs[$0] == nil }
        let onlyTheirs = second.lines.map(\.id).filter { mine[$0] == nil }
        let changed = first.lines.map(\.id).filter { theirs[$0] != nil && theirs[$0] != mine[$0] }
        let names = (first.name, second.name)
        let parts = [
            statement(onlyMine, "only in \(names.0)"), statement(onlyTheirs, "only in \(names.1)"),
            statement(changed, "of other content"),
        ].compactMap(\.self)
        guard !parts.isEmpty else { return nil }
        return "\(names.0) and \(names.1) are of different samples of \(first.dataset): "
            + parts.joined(separator: "; ")
    }

    private static func statement(_ ids: [String], _ what: String) -> String? {
        guard !ids.isEmpty else { return nil }
        let shown = ids.prefix(3).joined(separator: ", ") + (ids.count > 3 ? ", …" : "")
        return "\(ids.count) \(what) (\(shown))"
    }
}
