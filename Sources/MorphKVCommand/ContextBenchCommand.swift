internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct ContextBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "context-bench", abstract: "Measures what cutting a context saves in bytes and time per token.",
        discussion: """
            Needs no text: a context of random entries costs what a real one does. The whole and the cut context take \
            turns, step by step. "ours" is the cut one, "theirs" the whole one; a figure is the median over rounds of \
            the round's median step. Run nothing else meanwhile.
            """)

    @OptionGroup var modelFlags: ModelFlags

    @Option(help: "Tokens of the context.")
    var tokens = 8192

    @Option(help: "The share of the entries that stays.")
    var ratio = 0.3

    @Option(help: "Rounds.")
    var rounds = 15

    @Option(help: "Steps of each context in a round.")
    var steps = 16

    @OptionGroup var types: CacheTypeFlags

    @Flag(help: "Print one JSON object per measure.")
    var json = false

    func validate() throws {
        guard (1...1 << 24).contains(tokens), (1...1 << 16).contains(rounds), (1...1 << 16).contains(steps) else {
            throw ValidationError("possible are 1 to \(1 << 24) tokens and 1 to \(1 << 16) rounds and steps")
        }
    }

    func run() throws {
        let model = try modelFlags.load()
        let whole = try CompressedContext(
            random: tokens, model: model, options: types.options(FullPolicy()))
        var cut = whole
        try cut.compressAtRandom(ratio: ratio)
        let times = try ContextTimes(whole: whole, cut: cut, threads: modelFlags.threadCount, rounds, steps)
        let place = "over \(tokens) tokens, \(String(format: "%g", ratio)) kept"
        let bytes = [whole, cut].map { Double($0.statistics.allocatedBytes) / 1e6 }
        let measures = [
            BenchmarkRow(
                name: "keys and values \(place)", unit: "MB", ours: bytes[1], theirs: bytes[0],
                ratio: bytes[0] / bytes[1], spread: []),
            times.attention.measure("attention of all layers \(place)"),
            times.steps.measure("whole step \(place)"),
        ]
        try BenchmarkRow.show(measures, json: json, withHeader: true)
    }
}

/// Seconds per step on top of the whole and of the cut context.
private struct ContextTimes {
    /// The median step of each round.
    struct Rounds {
        var whole: [Double] = []
        var cut: [Double] = []

        func measure(_ name: String) -> BenchmarkRow {
            BenchmarkRow(name, ours: cut, theirs: whole, unit: "ms/token", scale: 1000)
        }
    }

    var attention = Rounds()
    var steps = Rounds()

    init(whole: CompressedContext, cut: CompressedContext, threads: Int, _ rounds: Int, _ count: Int) throws {
        let wholeSteps = try ContextSteps(whole, threads: threads, reserve: count)
        let cutSteps = try ContextSteps(cut, threads: threads, reserve: count)
        // The first round builds graphs and finds the memory.
        for round in 0...rounds {
            wholeSteps.restart()
            cutSteps.restart()
            let step = try Self.inTurn(
                count, { try wholeSteps.step(Token($0 % 8)) }, { try cutSteps.step(Token($0 % 8)) })
            let attention = try Self.inTurn(count, { _ in try wholeSteps.attend() }, { _ in try cutSteps.attend() })
            guard round > 0 else { continue }
            steps.add(step)
            self.attention.add(attention)
        }
    }

    private static func inTurn(
        _ count: Int, _ whole: (Int) throws -> Void, _ cut: (Int) throws -> Void
    ) rethrows -> Rounds {
        var times = Rounds()
        for index in 0..<count {
            times.whole.append(try seconds { try whole(index) })
            times.cut.append(try seconds { try cut(index) })
        }
        return times
    }
}

extension ContextTimes.Rounds {
    /// Adds a round by the medians of its steps.
    fileprivate mutating func add(_ round: Self) {
        whole.append(round.whole.median)
        cut.append(round.cut.median)
    }
}
