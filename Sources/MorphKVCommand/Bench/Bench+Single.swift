internal import Foundation
internal import Ggml
internal import MorphKV

// Measures of one sequence.

extension Bench {
    /// Decode at some lengths of the context, with the cache that was asked for; libllama with the full cache.
    func decode(lengths: [Int]) throws -> [BenchmarkRow] {
        let room = (lengths.max() ?? 0) + (rounds + 1) * steps
        let engine = try engine(reserve: room)
        let theirs = try baselines(context: room)
        var results: [BenchmarkRow] = []
        var position = 0
        for length in lengths.sorted() {
            progress("decode at \(length) tokens: prompt")
            let prompt = tokens(max(1, length - position), seed: UInt64(length))
            try engine.prefill(prompt)
            for baseline in theirs { try baseline.prefill(prompt, at: position) }
            position += prompt.count
            progress("decode at \(length) tokens")
            let next = tokens(steps, seed: 7)
            var ends = theirs.map { _ in position }
            // Of the last round: the first one describes graphs to workers.
            var before = 0
            let times = try compare(
                {
                    before = RemoteHost.traffic.bytes
                    for token in next { try engine.decode(token) }
                },
                theirs.enumerated().map { index, baseline in
                    {
                        for token in next {
                            try baseline.decode([token], at: ends[index])
                            ends[index] += 1
                        }
                    }
                })
            position += (rounds + 1) * steps
            // Read in the middle of the rounds: the weights and what is filled of the cache.
            let filled = try CachePlan(model, cache, tokens: position - (rounds + 1) * steps / 2).bytes
            let bytes = Double(model.weights.value.bytesPerStep + min(filled, engine.statistics.allocatedBytes))
            let share = bytes * Double(steps) / times.ours.median / bandwidth
            results.append(
                measure(
                    "decode at \(length) tokens, \(engine.statistics.policy)", times, unit: "ms/token",
                    scale: 1000 / Double(steps),
                    note: String(format: "%.0f MB a step, %.0f %% of the read bandwidth", bytes / 1e6, 100 * share)))
            results += network(RemoteHost.traffic.bytes - before, length: length)
        }
        return results
    }

    /// What a token costs on the way to workers; nothing if there are none.
    private func network(_ bytes: Int, length: Int) -> [BenchmarkRow] {
        guard bytes > 0 else { return [] }
        let needed = model.networkBytesPerToken
        let perToken = Double(bytes) / Double(steps)
        let note = String(format: "%.3f of hidden states and logits (%d bytes)", perToken / Double(needed), needed)
        return [BenchmarkRow("network per token at \(length) tokens", [perToken], unit: "bytes", note: note)]
    }

    /// Prompts of some lengths, into an empty cache.
    func prefill(lengths: [Int]) throws -> [BenchmarkRow] {
        try lengths.map { length in
            progress("prefill of \(length) tokens")
            let engine = try engine(reserve: length)
            let prompt = tokens(length)
            let times = try compare(
                {
                    engine.clear()
                    try engine.prefill(prompt)
                },
                baselines(context: length).map { baseline in
                    {
                        baseline.clear()
                        try baseline.prefill(prompt, at: 0)
                    }
                })
            return measure("prefill of \(length) tokens", times, unit: "tokens/s", scale: 1).rates(of: length)
        }
    }

    /// Steps under policies against steps with as many slots and eviction off.
    func policies(_ policies: [any CachePolicy], slots: Int) throws -> [BenchmarkRow] {
        let off = try engine(FullPolicy(), reserve: slots + (rounds + 1) * steps * policies.count)
        try off.prefill(tokens(slots - steps / 2))
        return try policies.map { policy in
            progress("step under \(policy.specification)")
            let engine = try engine(policy)
            try engine.prefill(tokens(slots + 64))
            let next = tokens(steps, seed: 9)
            for token in next { try engine.decode(token) }
            let times = try compare(decoding: next, engine, off)
            return BenchmarkRow(
                "step under \(policy.specification)", ours: times.ours, theirs: times.theirs!, unit: "ms/token",
                scale: 1000 / Double(steps), note: "theirs: \(slots) slots, eviction off")
        }
    }

    /// Prompts under policies against the same prompt with eviction off.
    func prompts(_ policies: [any CachePolicy], lengths: [Int]) throws -> [BenchmarkRow] {
        try lengths.flatMap { length in
            let (prompt, full) = (tokens(length), try engine(FullPolicy(), reserve: length))
            return try policies.map { policy in
                progress("prompt of \(length) tokens under \(policy.specification)")
                let engine = try engine(policy)
                func read(_ engine: Engine) throws {
                    engine.clear()
                    try engine.prefill(prompt)
                }
                let times = try compare({ try read(engine) }, [{ try read(full) }])
                return BenchmarkRow(
                    "prompt of \(length) tokens under \(policy.specification)", ours: times.ours, theirs: times.theirs!,
                    unit: "ms", scale: 1000, note: "theirs: eviction off")
            }
        }
    }

    /// Time to the first token, from opening the file on; the file is in the page cache.
    func start() throws -> [BenchmarkRow] {
        progress("start")
        let prompt = tokens(16)
        let times = try compare(
            {
                let model = try Model(contentsOf: model.url, devices: model.placement.devices)
                try Engine(model, cache, threads: threads).prefill(prompt)
            },
            comparesLibllama
                ? [true, false].map { flash in
                    {
                        let weights = try LibllamaBaseline.Weights(path: model.url.path)
                        try LibllamaBaseline(weights, context: 512, flashAttention: flash, threads: threads)
                            .prefill(prompt, at: 0)
                    }
                } : [])
        return [measure("start: file to first token, 16-token prompt", times, unit: "ms", scale: 1000)]
    }
}

extension BenchmarkRow {
    /// The same measure as rates instead of seconds.
    func rates(of tokens: Int) -> BenchmarkRow {
        let count = Double(tokens)
        guard let theirs, let ratio else {
            return BenchmarkRow(name, spread.map { count / $0 } + [count / ours], unit: unit, note: note)
        }
        return BenchmarkRow(
            name: name, unit: unit, ours: count / ours, theirs: count / theirs, ratio: ratio, spread: spread, note: note
        )
    }
}
