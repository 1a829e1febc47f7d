internal import Foundation
internal import Ggml
internal import MorphKV

extension Bench {
    /// Some sequences at a time with caches of constant size, against libllama with as many full caches.
    func batch(sequences: Int, policy: any CachePolicy, lengths: [Int]) throws -> [BenchmarkRow] {
        progress("batch of \(sequences): prompts")
        let engines = try (0..<sequences).map { _ in try engine(policy) }
        let prompt = tokens(lengths.min() ?? 512)
        for engine in engines { try engine.prefill(tokens(640, seed: 3)) }
        let batch = try Batch(model, threads: threads)
        var results: [BenchmarkRow] = []
        for length in lengths {
            let theirs = try baselines(context: length + (rounds + 1) * steps, sequences: sequences)
            var ends = theirs.map { _ in length }
            for baseline in theirs {
                try baseline.prefill(prompt + tokens(length - prompt.count, seed: 4), at: 0)
                baseline.copyFirst()
            }
            progress("batch of \(sequences) at \(length) tokens")
            let times = try compare(
                {
                    for step in 0..<steps {
                        try batch.decode(Array(zip(engines, tokens(sequences, seed: UInt64(step)))))
                    }
                },
                theirs.enumerated().map { index, baseline in
                    {
                        for step in 0..<steps {
                            try baseline.decode(tokens(sequences, seed: UInt64(step)), at: ends[index])
                            ends[index] += 1
                        }
                    }
                })
            results.append(
                measure(
                    "\(sequences) sequences, \(policy.specification), full ones of \(length) tokens", times,
                    unit: "ms/token", scale: 1000 / Double(steps * sequences)))
        }
        return results
    }

    /// The kernel alone: keys and values read against the read bandwidth.
    func kernel(slots: Int) throws -> [BenchmarkRow] {
        // Hardly any weights, so that attention is nearly all of a step.
        let shape = ModelShape(
            "llama", embedding: 32, layers: 16, feedForward: 32, queryHeads: 32, kvHeads: 8, headDimension: 128,
            vocabulary: 32, tiesEmbeddings: true, context: 8192, ropeBase: 10000)
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("morphkv-bench-\(getpid()).gguf")
        defer { try? FileManager.default.removeItem(at: url) }
        var random = try RandomModel(shape, type: .f16, seed: 1)
        try random.write(to: url)
        let model = try Model(contentsOf: url)
        let engine = try Engine(
            model, cache.with(FullPolicy()), threads: threads, reserve: slots + (rounds + 1) * steps)
        let empty = try Engine(model, cache.with(StreamingPolicy(capacity: 2, sinks: 0)), threads: threads)
        progress("kernel at \(slots) slots")
        try engine.prefill((0..<slots).map { Token($0 % 32) })
        try empty.prefill([1, 2, 3])
        let times = try compare(decoding: Array(repeating: 1, count: steps), engine, empty)
        // What the rest of a step takes is measured with two slots and taken off.
        let bytes = Double(slots * 16 * 8 * 128 * 2 * 2) * Double(steps)
        let rates = zip(times.ours, times.theirs!).map { bytes / ($0 - $1) / bandwidth }
        return [
            BenchmarkRow(
                "attention over \(slots) slots, 32/8 heads of 128, f16: keys and values over time", rates,
                unit: "of the read bandwidth", note: String(format: "%.1f GB/s", rates.median * bandwidth / 1e9))
        ]
    }
}
