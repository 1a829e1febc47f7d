internal import Foundation
internal import Ggml
internal import MorphKV

extension Bench {
    /// Attention by graph, as devices other than the CPU compute it, against the CPU's kernel with equal caches: for one
    /// sequence, and for several at a time. And of what a graph's step consists.
    func graph(_ policy: any CachePolicy, _ sequences: Int) throws -> [BenchmarkRow] {
        let operations = try [FullPolicy(), policy].map(operations)
        let perLayer = operations.map { Double($0) / Double(model.description.layers.count) }
        var rows = [
            BenchmarkRow("operations of a layer and step, full", [perLayer[0]], unit: ""),
            BenchmarkRow(
                "operations of a layer and step, \(policy.specification)", [perLayer[1]], unit: "",
                note: "\(Double(Int(100 * perLayer[1] / perLayer[0])) / 100) times as many"),
        ]
        let full = FileManager.default.temporaryDirectory.appendingPathComponent("morphkv-bench-\(getpid()).cache")
        defer { try? FileManager.default.removeItem(at: full) }
        try save(policy, to: full)
        for count in Set([1, sequences]).sorted() {
            progress("\(count) by graph")
            rows += try steps(policy, count, from: full)
        }
        return rows
    }

    /// Fills a cache: sequences that have it read the prompt once.
    private func save(_ policy: any CachePolicy, to file: URL) throws {
        let engine = try engine(policy, .automatic)
        let prompt = tokens((policy.declaredCapacity ?? 512) + 16, seed: 3)
        try engine.prefill(prompt)
        try engine.saveSlot(prompt, to: file)
    }

    private func engine(_ policy: any CachePolicy, _ attention: CacheOptions.AttentionPath) throws -> Engine {
        var options = cache.with(policy)
        options.attention = attention
        return try Engine(model, options, threads: threads)
    }

    private func operations(_ policy: any CachePolicy) throws -> Int {
        let engine = try engine(policy, .graph)
        try engine.prefill([1])
        try engine.decode(2)
        return engine.stepOperations
    }

    private func steps(_ policy: any CachePolicy, _ count: Int, from file: URL) throws -> [BenchmarkRow] {
        let work = try [CacheOptions.AttentionPath.graph, .automatic].map { attention in
            let batch = try Batch(model, threads: threads, attention: attention)
            let engines = try (0..<count).map { _ in
                let engine = try engine(policy, attention)
                _ = try engine.restoreSlot(from: file)
                return engine
            }
            return {
                for step in 0..<steps {
                    try batch.decode(Array(zip(engines, tokens(count, seed: UInt64(step)))))
                }
            }
        }
        let times = try compare(work[0], [work[1]])
        return [
            BenchmarkRow(
                "\(count) by graph, \(policy.specification)", ours: times.ours, theirs: times.theirs!, unit: "ms/step",
                scale: 1000 / Double(steps), note: "theirs: the kernel")
        ]
    }
}
