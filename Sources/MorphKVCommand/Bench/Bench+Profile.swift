internal import Foundation
internal import Ggml
internal import MorphKV

extension Bench {
    /// What a decode step consists of: attention, by the difference to a step with two slots; the weights, at the
    /// machine's read bandwidth; and the rest, which are the small operations and the threads' waiting for each other.
    func profile(_ policy: any CachePolicy, slots: Int) throws -> [BenchmarkRow] {
        progress("profile at \(slots) slots")
        let engine = try engine(policy, reserve: slots + (rounds + 1) * steps)
        let empty = try self.engine(StreamingPolicy(capacity: 2, sinks: 0))
        try engine.prefill(tokens(slots))
        try empty.prefill(tokens(3))
        let times = try compare(decoding: tokens(steps, seed: 9), engine, empty)
        let scale = 1000 / Double(steps)
        let step = times.ours.median * scale
        let weights = Double(model.weights.value.bytesPerStep) / bandwidth * 1000
        let attention = zip(times.ours, times.theirs!).map { ($0 - $1) * scale }
        let rest = times.theirs!.map { $0 * scale - weights }
        let name = "\(policy.specification) at \(slots) slots"
        func share(_ part: Double) -> String { String(format: "%.0f %%", 100 * part / step) }
        return [
            BenchmarkRow("step, \(name)", times.ours.map { $0 * scale }, unit: "ms"),
            BenchmarkRow("of it attention, \(name)", attention, unit: "ms", note: share(attention.median)),
            BenchmarkRow("of it weights at the read bandwidth", [weights], unit: "ms", note: share(weights)),
            BenchmarkRow("of it the rest", rest, unit: "ms", note: share(rest.median)),
        ]
    }
}
