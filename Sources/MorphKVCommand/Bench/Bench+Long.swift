internal import Foundation
internal import Ggml
internal import MorphKV

extension Bench {
    /// Tokens of a long answer that each side writes in turn.
    private static let block = 250
    /// Tokens after which memory is looked at.
    private static let marks = [1000, 10_000, 100_000, 1_000_000]

    /// A long answer with a cache of constant size against libllama's full cache, in turns of 250 tokens. We decode them
    /// all; libllama decodes the last ``steps`` of them, which stand for the others that it gets as a prompt.
    ///
    /// - Parameter flashAttention: libllama's setting.
    func long(tokens count: Int, policy: any CachePolicy, flashAttention: Bool) throws -> [BenchmarkRow] {
        let engine = try engine(policy)
        let theirs =
            comparesLibllama
            ? try LibllamaBaseline(
                LibllamaBaseline.Weights(path: model.url.path), context: count + 16, flashAttention: flashAttention,
                threads: threads) : nil
        let answer = tokens(count, seed: 5)
        // Else the pages of the file that hold a new token's embedding would count as growth.
        for tensor in model.weights.value.mapped { tensor.touch() }
        try engine.prefill([answer[0]])
        try theirs?.decode([answer[0]], at: 0)
        // All there from the start, or it would count as growth.
        var our = [Double](repeating: .zero, count: count - 1)
        var their: [Double] = []
        var grown = 0
        var memory: [BenchmarkRow] = []
        for start in stride(from: 1, to: count, by: Self.block) {
            progress("long answer: \(start) of \(count) tokens")
            let range = start..<min(start + Self.block, count)
            let before = residentBytes() ?? 0
            for index in range { our[index - 1] = try seconds { try engine.decode(answer[index]) } }
            if start > 1000 { grown += (residentBytes() ?? 0) - before }
            if let mark = Self.marks.first(where: { range.contains($0 - 1) }) {
                memory += self.memory(of: engine, after: mark)
            }
            guard let theirs else { continue }
            let measured = range.suffix(steps)
            try theirs.prefill(Array(answer[range.lowerBound..<measured.lowerBound]), at: range.lowerBound)
            let times = try measured.map { index in try seconds { try theirs.decode([answer[index]], at: index) } }
            let mean = times.reduce(0, +) / Double(times.count)
            their += Array(repeating: mean, count: range.count - times.count) + times
        }
        return longMeasures(our, their, policy, grown: grown) + memory
    }

    /// What the cache and the whole process take; libllama's part counts where it runs beside us.
    private func memory(of engine: Engine, after count: Int) -> [BenchmarkRow] {
        let name = "after \(count) tokens, \(engine.statistics.policy)"
        let bytes = [("cache", engine.statistics.allocatedBytes), ("resident memory", residentBytes())]
        return bytes.compactMap { part, bytes in
            bytes.map { BenchmarkRow("\(part) \(name)", [Double($0) / 1e6], unit: "MB") }
        }
    }

    private func longMeasures(
        _ our: [Double], _ their: [Double], _ policy: any CachePolicy, grown: Int
    ) -> [BenchmarkRow] {
        func total(_ values: some Collection<Double>) -> Double { values.reduce(0, +) }
        let name = "\(our.count + 1) tokens, \(policy.specification)"
        let note = steps < Self.block ? "libllama decodes \(steps) of every \(Self.block)" : nil
        var results: [BenchmarkRow] = []
        func add(_ part: String, _ ours: ArraySlice<Double>, _ theirs: ArraySlice<Double>) {
            let scale = 1000 / Double(ours.count)
            results.append(
                theirs.isEmpty
                    ? BenchmarkRow("\(name): \(part)", [total(ours) * scale], unit: "ms/token")
                    : BenchmarkRow(
                        "\(name): \(part)", ours: [total(ours)], theirs: [total(theirs)], unit: "ms/token",
                        scale: scale, note: note))
        }
        add("whole run", our[...], their[...])
        add("last 1,000 tokens", our.suffix(1000), their.suffix(1000))
        guard our.count > 3000 else { return results }
        let late = Array(our.suffix(1000)), early = Array(our[1000..<2000])
        results.append(
            BenchmarkRow(
                "\(name): median step at the end over that at 1,000 to 2,000", [late.median / early.median], unit: "x"))
        if residentBytes() != nil {
            let resident = Double(residentBytes()! - grown)
            results.append(
                BenchmarkRow(
                    "\(name): resident memory at the end over that at 1,000", [(resident + Double(grown)) / resident],
                    unit: "x"))
        }
        return results
    }
}
