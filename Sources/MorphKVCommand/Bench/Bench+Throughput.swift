internal import Foundation
internal import MorphKV

extension Bench {
    /// Answers that the server's scheduler writes at a time, with caches of constant size, against libllama's batched
    /// decode with full caches: of as many sequences, and of as many as fit into the same bytes, wave after wave.
    ///
    /// - Parameters:
    ///   - answers: how many.
    ///   - count: tokens of each.
    ///   - flashAttention: libllama's setting.
    func throughput(
        answers: Int, tokens count: Int, policy: any CachePolicy, flashAttention: Bool
    ) async throws -> [BenchmarkRow] {
        let prompt = tokens(16)
        let name = "\(answers) answers of \(count) tokens, \(policy.specification)"
        progress("\(name): ours")
        let (ours, bytes) = try await scheduled(answers, tokens: count, after: prompt, policy)
        let rate = Double(answers * count) / ours
        guard comparesLibllama else { return [BenchmarkRow(name, [rate], unit: "tokens/s")] }
        let perSequence = try CachePlan(model, cache.with(FullPolicy()), tokens: prompt.count + count).bytes
        let fitting = min(answers, max(1, bytes / perSequence))
        return try [(answers, "as many full sequences"), (fitting, "\(fitting) full sequences, the same bytes")].map {
            sequences, kind in
            progress("\(name): \(kind)")
            // Not rounded up: a last wave with free seats would cost less.
            let waves = Double(answers) / Double(sequences)
            let theirs =
                try waves * wave(of: sequences, tokens: count, after: prompt, flashAttention: flashAttention)
            return BenchmarkRow(
                name: "\(name), against \(kind)", unit: "tokens/s", ours: rate,
                theirs: Double(answers * count) / theirs, ratio: theirs / ours, spread: [theirs / ours],
                note: String(
                    format: "caches of %.0f MB against %.0f MB", Double(bytes) / 1e6,
                    Double(sequences * perSequence) / 1e6))
        }
    }

    /// Seconds from the first request to the end of the last answer, and the bytes of all caches.
    private func scheduled(
        _ answers: Int, tokens count: Int, after prompt: [Token], _ policy: any CachePolicy
    ) async throws -> (seconds: Double, cacheBytes: Int) {
        let day = Duration.seconds(86_400)
        let scheduler = try Scheduler(
            model,
            ServingOptions(
                cache: cache.with(policy), parallel: answers, maxTokens: count, timeLimit: day, readLimit: day,
                threads: threads))
        let options = GenerationOptions(maxTokens: count, ignoresEndOfText: true)
        let start = DispatchTime.now().uptimeNanoseconds
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Different first tokens, as different users have them.
            let requests = (0..<answers).map {
                ServingRequest(prompt: tokens(1, seed: UInt64(100 + $0)) + prompt.dropFirst(), options: options)
            }
            for answer in try scheduler.submit(requests) {
                group.addTask { for try await _ in answer {} }
            }
            try await group.waitForAll()
        }
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        await scheduler.stop()
        return (seconds, scheduler.memory.caches)
    }

    /// Seconds that libllama takes for the answers of one wave: in the middle of each eighth of an answer ``steps`` tokens
    /// are decoded and stand for all of it, the others enter as prompts. With as many steps as tokens it is a whole run.
    private func wave(
        of sequences: Int, tokens count: Int, after prompt: [Token], flashAttention: Bool
    ) throws -> Double {
        let baseline = try LibllamaBaseline(
            LibllamaBaseline.Weights(path: model.url.path), context: prompt.count + count, sequences: sequences,
            flashAttention: flashAttention, threads: threads)
        try baseline.prefill(prompt, at: 0)
        var end = prompt.count
        func fill(_ tokens: [Token]) throws {
            try baseline.prefill(tokens, at: end)
            end += tokens.count
        }
        return try (0..<8).reduce(0.0) { sum, part in
            let size = count * (part + 1) / 8 - count * part / 8
            let measured = min(steps, size)
            try fill(tokens((size - measured) / 2))
            baseline.copyFirst()
            let time = try seconds {
                for step in 0..<measured {
                    try baseline.decode(tokens(sequences, seed: UInt64(step)), at: end + step)
                }
            }
            end += measured
            try fill(tokens(size - measured - (size - measured) / 2))
            return sum + time * Double(size) / Double(measured)
        }
    }
}
