internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

struct GenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Continues a text or answers a question.",
        discussion: "The prompt comes from the argument or --prompt, from --file, or from standard input.")

    @OptionGroup var modelFlags: ModelFlags
    @OptionGroup var cache: CacheFlags
    @OptionGroup var sampling: SamplingFlags

    @Argument(help: "The prompt.")
    var prompt: String?

    @Option(name: [.customShort("p"), .customLong("prompt")], help: "The prompt, in place of the argument.")
    var promptOption: String?

    @Option(name: [.short, .long], help: "Read the prompt from a file.")
    var file: String?

    @OptionGroup var answerFlags: AnswerFlags
    @OptionGroup var grammarFlags: GrammarFlags

    @Option(help: "Pin that many of the prompt's first tokens, or all: a cache of constant size never drops them.")
    var pinPrompt: PinnedBeginning?

    @Flag(help: "Ask in the model's chat format.")
    var chat = false

    @Option(help: "The system message in chat format.")
    var system: String?

    @Flag(help: "Go on when the model ends its text.")
    var ignoreEos = false

    @Flag(help: "Print one JSON object at the end instead of the text as it comes.")
    var json = false

    @Flag(help: "Repeat the run at the end and say, on standard error, what each head kept.")
    var explain = false

    @Option(help: "For --explain: compare attention with a full cache at this many steps (slow).")
    var explainSamples = 0

    @Flag(help: "Say at the end, on standard error, what the cache held.")
    var stats = false

    func validate() throws {
        if prompt != nil, promptOption != nil {
            throw ValidationError("the prompt is given twice, as an argument and with --prompt")
        }
    }

    func run() async throws {
        let model = try modelFlags.load()
        let text = try promptText(model)
        let maxTokens = answerFlags.length.maxTokens ?? 512
        let options = GenerationOptions(
            maxTokens: maxTokens, sampling: sampling.options, stop: answerFlags.stop, ignoresEndOfText: ignoreEos,
            grammar: try grammarFlags.load(for: model))
        let cache = try cache.options(
            for: model, length: Self.length(model, text, maxTokens), pins: pinPrompt != nil)
        let pins = pinPrompt?.pins ?? .none
        let session = try Session(
            model, cache: cache, threads: modelFlags.threadCount, reserve: min(maxTokens, 4096))
        let tokens = try await GenerateRun(session: session, asJSON: json, sumsUp: stats).run(text, options, pins)
        guard explain else { return }
        let explanation = try Explanation.of(
            model, cache, prompt: model.tokenizer?.encode(text, parseSpecial: true) ?? [],
            pin: pins, response: tokens, attentionSamples: explainSamples, threads: modelFlags.threadCount)
        if json { return try Output.printJSON(explanation) }
        try Output.write(explanation.table, to: .standardError)
    }

    /// The most tokens that the sequence gets.
    private static func length(_ model: Model, _ prompt: String, _ maxTokens: Int) -> SequenceLength? {
        model.tokenizer.map { tokenizer in
            let tokens = tokenizer.encode(prompt, parseSpecial: true).count
            return SequenceLength(tokens: tokens + maxTokens, prompt: tokens)
        }
    }

    private func promptText(_ model: Model) throws -> String {
        let text = try prompt ?? promptOption ?? Input.text(ofFile: file)
        guard chat else { return text }
        guard let tokenizer = model.tokenizer else { throw ValidationError("the model has no tokenizer") }
        let messages = (system.map { [Tokenizer.Message(role: "system", content: $0)] } ?? [])
        return try tokenizer.applyChatTemplate(messages + [Tokenizer.Message(role: "user", content: text)])
    }
}

/// Prints a generation as it comes, with what the cache holds on a status line, and returns its tokens.
private struct GenerateRun {
    /// What `--json` prints.
    struct Summary: Encodable {
        var text = ""
        var tokens = 0
        var finish: String?
        var tokensPerSecond = 0.0
        var policy = ""
        var tokensSeen = 0
        var slots = 0
        var fewestSlots = 0
        var slotsUsed = 0
        var evicted = 0
        var pinned = 0
        var cachePlannedBytes = 0
        var cacheAllocatedBytes = 0
        var computeBytes = 0
        /// To and from workers, of the tokens behind the first; nil if there are none.
        var networkBytesPerToken: Int?
    }

    let session: Session
    let asJSON: Bool
    let sumsUp: Bool

    func run(_ prompt: String, _ options: GenerationOptions, _ pins: PromptPins) async throws -> [Token] {
        var status = StatusLine(
            isShown: !asJSON && Output.isTerminal(.standardOutput)
                && Output.isTerminal(.standardError))
        let before = await session.statistics
        var summary = Summary()
        var tokens: [Token] = []
        var firstToken: ContinuousClock.Instant?
        var traffic = 0
        for try await piece in session.generate(prompt, options: options, pin: pins) {
            let start = firstToken ?? .now
            if firstToken == nil { traffic = RemoteHost.traffic.bytes }
            firstToken = start
            if asJSON { summary.text += piece.text } else { try Output.write(piece.text) }
            if let token = piece.token { tokens.append(token) }
            summary.tokens = tokens.count
            summary.finish = piece.finish?.rawValue
            // The first token came out of the prompt; the rate is that of the others.
            summary.tokensPerSecond = rate(summary.tokens - 1, since: start)
            status.show(line(summary, piece, cacheBytes: before.allocatedBytes))
        }
        status.clear()
        if !RemoteHost.all.isEmpty, summary.tokens > 1 {
            summary.networkBytesPerToken = (RemoteHost.traffic.bytes - traffic) / (summary.tokens - 1)
        }
        if !asJSON { try Output.write("\n") }
        try await finish(&summary)
        if asJSON { try Output.printJSON(summary) }
        var notice = LengthNotice()
        try await notice.check(session)
        if sumsUp { try Output.write(table(summary), to: .standardError) }
        return tokens
    }

    private func rate(_ tokens: Int, since start: ContinuousClock.Instant) -> Double {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return tokens > 0 && seconds > 0 ? Double(tokens) / seconds : 0
    }

    private func line(_ summary: Summary, _ piece: Generation.Piece, cacheBytes: Int) -> String {
        String(
            format: "%5d tokens  %6.1f tokens/s  %d slots used per head  %@ cache  %d evicted", summary.tokens,
            summary.tokensPerSecond, piece.slotsUsed, Output.bytes(cacheBytes), piece.evicted)
    }

    private func finish(_ summary: inout Summary) async throws {
        let statistics = await session.statistics
        summary.policy = statistics.policy
        summary.tokensSeen = statistics.tokensSeen
        summary.slots = statistics.slots
        summary.fewestSlots = statistics.fewestSlots
        summary.slotsUsed = statistics.used
        summary.evicted = statistics.evicted
        summary.pinned = statistics.pinned
        summary.cachePlannedBytes = statistics.plannedBytes
        summary.cacheAllocatedBytes = statistics.allocatedBytes
        summary.computeBytes = await session.computeBytes
    }

    private func table(_ summary: Summary) -> String {
        "cache: \(Output.bytes(summary.cachePlannedBytes)) planned, \(Output.bytes(summary.cacheAllocatedBytes)) allocated\n"
            + String(
                format:
                    "%d tokens written at %.1f tokens/s, %d seen\n%@\n%@ slots per head used, %d tokens evicted\n",
                summary.tokens, summary.tokensPerSecond, summary.tokensSeen, summary.policy,
                Output.slots(used: summary.slotsUsed, of: summary.fewestSlots...summary.slots), summary.evicted)
            + (summary.pinned > 0 ? "\(summary.pinned) tokens pinned\n" : "")
            + (summary.networkBytesPerToken.map { "\($0) bytes per token to and from workers\n" } ?? "")
    }
}

extension Explanation {
    /// The explanation as a table for people.
    fileprivate var table: String {
        let header = "layer head  slots  sinks prompt response recent  turnover  attention kept\n"
        let rows = heads.map { head in
            String(
                format: "%5d %4d  %5d  %5d %6d %8d %6d  %8.2f  %@\n", head.layer, head.head, head.slots, head.sinks,
                head.prompt,
                head.response, head.recent, head.turnover,
                head.attentionKept.map { String(format: "%.1f %%", 100 * $0) } ?? "-")
        }
        return header + rows.joined()
    }
}
