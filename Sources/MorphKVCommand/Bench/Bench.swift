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

    /// libllama's two ways to compute attention.
    func baselines(context: Int, sequences: Int = 1) throws -> [LibllamaBaseline] {
        guard comparesLibllama else { return [] }
        let weights = try LibllamaBaseline.Weights(path: model.url.path)
        return try [true, false].map {
            try LibllamaBaseline(
                weights, context: context, sequences: sequences, flashAttention: $0, threads: threads)
        }
    }

    /// Repeats some work of ours and of each of theirs in turn.
    ///
    /// - Returns: our seconds, and those of the faster one of theirs, by round.
    func compare(
        _ ours: () throws -> Void, _ theirs: [() throws -> Void]
    ) throws -> (ours: [Double], theirs: [Double]?) {
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
        return (our, their.min { $0.median < $1.median })
    }

    func measure(
        _ name: String, _ times: (ours: [Double], theirs: [Double]?), unit: String, scale: Double, note: String? = nil
    ) -> Measure {
        guard let theirs = times.theirs else {
            return Measure(name, times.ours.map { $0 * scale }, unit: unit, note: note)
        }
        return Measure(name, ours: times.ours, theirs: theirs, unit: unit, scale: scale, note: note)
    }
}
