internal import Foundation
internal import Ggml
internal import MorphKV

/// What all measures of one model have in common.
struct Bench {
    let model: Model
    let cache: CacheOptions
    let threads: Int
    /// How often each measure is repeated, ours and theirs in turn.
    let rounds: Int
    /// Tokens decoded per round.
    let steps: Int
    /// Whether libllama runs beside us.
    let comparesLibllama: Bool
    /// Bytes a second, measured at the start.
    let bandwidth: Double
    let progress: (String) -> Void

    /// Seeded token ids: what a model with random weights is fed with makes no difference to its speed.
    func tokens(_ count: Int, seed: UInt64 = 1) -> [Token] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in Token(random.next() % UInt64(model.description.vocabularySize)) }
    }

    func engine(_ policy: (any CachePolicy)? = nil, reserve: Int = 0) throws -> Engine {
        try Engine(model, policy.map(cache.with) ?? cache, threads: threads, reserve: reserve)
    }

    /// libllama's two ways to compute attention: with flash attention, and without.
    func baselines(context: Int, sequences: Int = 1) throws -> [LibllamaBaseline] {
        guard comparesLibllama else { return [] }
        let weights = try LibllamaBaseline.Weights(path: model.url.path)
        return try [true, false].map {
            try LibllamaBaseline(
                weights, context: context, sequences: sequences, flashAttention: $0, threads: threads)
        }
    }

    /// Seconds of each round.
    struct Times {
        let ours: [Double]
        /// Those of the fastest one of theirs.
        let theirs: [Double]?
        /// Which one of theirs that is.
        let fastest: Int?
    }

    /// Repeats some work of ours and of each of theirs in turn.
    func compare(_ ours: () throws -> Void, _ theirs: [() throws -> Void]) throws -> Times {
        var our: [Double] = []
        var their = theirs.map { _ in [Double]() }
        // The first round warms up: graphs are built and memory is touched.
        for round in 0...rounds {
            let time = try seconds(ours)
            if round > 0 { our.append(time) }
            for (index, work) in theirs.enumerated() {
                let time = try seconds(work)
                if round > 0 { their[index].append(time) }
            }
        }
        let fastest = their.indices.min { their[$0].median < their[$1].median }
        return Times(ours: our, theirs: fastest.map { their[$0] }, fastest: fastest)
    }

    /// Decodes the same tokens with two engines in turn.
    func compare(decoding next: [Token], _ ours: Engine, _ theirs: Engine) throws -> Times {
        try compare(
            { for token in next { try ours.decode(token) } }, [{ for token in next { try theirs.decode(token) } }])
    }

    /// A measure against ``baselines(context:sequences:)``; its note says which of them was the faster one.
    func measure(_ name: String, _ times: Times, unit: String, scale: Double, note: String? = nil) -> BenchmarkRow {
        guard let theirs = times.theirs else {
            return BenchmarkRow(name, times.ours.map { $0 * scale }, unit: unit, note: note)
        }
        let setting = times.fastest == 0 ? "theirs: flash attention" : "theirs: no flash attention"
        return BenchmarkRow(
            name, ours: times.ours, theirs: theirs, unit: unit, scale: scale,
            note: [note, setting].compactMap { $0 }.joined(separator: "; "))
    }
}
