internal import ArgumentParser
internal import Foundation
internal import MorphKV

extension Bench {
    /// Tokens that each side decodes in turn.
    private static let turn = 250

    /// A long sequence whose keys are moved now and then beside one whose positions grow for ever, and the steps that move.
    func moves(tokens count: Int) throws -> [BenchmarkRow] {
        var still = cache
        still.positions = .none
        let engines = try [cache, still].map { try Engine(model, $0, threads: threads) }
        let answer = tokens(count, seed: 5)
        var times = [[Double](), []]
        var moving: [Double] = []
        for start in stride(from: 0, to: count, by: Self.turn) {
            progress("moves: \(start) of \(count) tokens")
            for side in engines.indices {
                for index in start..<min(start + Self.turn, count) {
                    let floor = engines[side].positionFloor
                    let time = try seconds { try engines[side].decode(answer[index]) }
                    times[side].append(time)
                    if engines[side].positionFloor != floor { moving.append(time) }
                }
            }
        }
        guard !moving.isEmpty else {
            throw ValidationError(
                "nothing was moved in \(count) tokens: more --tokens, a lower --position-limit or a --capacity is needed"
            )
        }
        let name = "\(count) tokens, \(cache.policy.specification)"
        return [
            BenchmarkRow(
                "\(name): mean step", ours: [times[0].reduce(0, +)], theirs: [times[1].reduce(0, +)], unit: "ms/token",
                scale: 1000 / Double(count), note: "theirs: keys are not moved"),
            BenchmarkRow(
                "\(name): steps that move keys", moving.map { $0 * 1000 }, unit: "ms",
                note: String(
                    format: "%d of them; the median of all steps is %.3f ms", moving.count, times[0].median * 1000)),
        ]
    }
}
