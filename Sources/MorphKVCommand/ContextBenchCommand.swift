internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

struct ContextBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "context-bench", abstract: "Measures what cutting a context saves in bytes and time per token.",
        discussion: "Needs no text: a context of random entries costs what a real one does.")

    @OptionGroup var modelOptions: ModelOptions

    @Option(help: "Tokens of the context.")
    var tokens = 8192

    @Option(help: "The share of the entries that stays.")
    var ratio = 0.3

    @Option(help: "How often each context takes its turn, with four tokens at a time.")
    var rounds = 12

    @Option(help: "Type of stored keys, and of values unless said otherwise: f32, f16, bf16 or q8_0.")
    var cacheType = "f16"

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        guard tokens >= 1, rounds >= 1 else { throw ValidationError("one token and one round are needed at least") }
        let result = try ContextBenchmark.measure(
            modelOptions.load(), tokens: tokens, ratio: ratio,
            options: CacheOptions(policy: FullPolicy(), elementType: CacheFlags.type(cacheType)), rounds: rounds,
            threads: modelOptions.threadCount)
        if json { return try Output.printJSON(result) }
        print(
            String(
                format: """
                    %d tokens whole: %@, %.2f ms per token; cut to %.2f: %@, %.2f ms; without context %.2f ms
                    %.2f times smaller, attention %.2f times faster
                    """, result.tokens, Output.bytes(result.wholeBytes), 1000 * result.secondsWhole, result.ratio,
                Output.bytes(result.cutBytes), 1000 * result.secondsCut, 1000 * result.secondsWithout,
                result.sizeReduction, result.attentionSpeedup))
    }
}
