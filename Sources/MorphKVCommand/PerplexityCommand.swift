internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct PerplexityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity", abstract: "Measures how well a text is predicted under a policy.",
        discussion: "The text is fed token by token, beside a full cache that is fed the same.")

    @OptionGroup var modelFlags: ModelFlags
    @OptionGroup var cache: CacheFlags

    @Option(name: [.short, .long], parsing: .upToNextOption, help: "The text, or several texts.")
    var file: [String]

    @Option(help: "Tokens per part; each part begins with an empty cache.")
    var context = 512

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let model = try modelFlags.load()
        guard let tokenizer = model.tokenizer else { throw ValidationError("the model has no tokenizer") }
        let texts = try file.map { tokenizer.encode(try Input.text(ofFile: $0)) }
        let count = texts.reduce(0) { $0 + $1.count }
        let cache = try cache.options(
            for: model, length: SequenceLength(tokens: min(context, texts.map(\.count).max() ?? 0), prompt: 1))
        var status = StatusLine(isShown: Output.isTerminal(.standardError))
        let result = try Perplexity.measure(
            model, cache, texts: texts, context: context, threads: modelFlags.threadCount
        ) { status.show("\($0) of \(count) tokens") }
        status.clear()
        if json { return try Output.printJSON(result) }
        print("\(result.policy): \(result.tokens) tokens")
        print(
            String(
                format: "perplexity %.4f, full cache %.4f (%+.4f), KL %.5f nats, same top token %.1f %%",
                result.perplexity, result.fullPerplexity, result.perplexity - result.fullPerplexity, result.meanKL,
                100 * result.sameTopToken))
    }
}
