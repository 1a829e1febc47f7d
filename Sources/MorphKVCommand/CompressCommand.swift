internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct CompressCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compress", abstract: "Reads a text once and saves what is needed to answer questions about it.",
        discussion: """
            The model repeats the text part by part; what it needs for that stays (KVzip, arXiv 2505.23416). With --scores
            augur that stays which the model's calibration foresees to be needed; nothing is read twice. A context that was
            saved before can be made smaller. `morphkv ask` asks about it.
            """)

    @OptionGroup var modelFlags: ModelFlags

    @Option(help: "The text, or a saved context.")
    var context: String

    @Option(name: [.short, .customLong("out")], help: "The file to write.")
    var out: String

    @Option(help: "The share of the text's entries that stays, 0 to 1 (default: \(Compression.Defaults.ratio)).")
    var ratio: Double?

    @Option(help: "Instead of a ratio: entries per KV head on average.")
    var capacity: Int?

    @Option(help: "Instead of a ratio: bytes at most.")
    var bytes: Int?

    @OptionGroup var levels: CompressionFlags

    @OptionGroup var contextFlags: ContextFlags

    @Flag(help: "The model's chat format around text and questions; use --chat with `ask` too.")
    var chat = false

    @OptionGroup var types: CacheTypeFlags

    @OptionGroup var attention: AttentionFlags

    @Option(
        help: ArgumentHelp(
            "Cut whole heads by scores from this file, which --save-heads wrote or which KVzip (.pt) or DuoAttention (.tsv) "
                + "published: nothing is scored. May be given several times; the larger scores count."))
    var heads: [String] = []

    @Option(help: "Write how much each head matters to this file: .pt as KVzip, .tsv as DuoAttention, else JSON.")
    var saveHeads: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        // A file that grows too large is an error to report, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        // Mistakes in the flags are found before the text is read, which takes minutes.
        var compression = try compression()
        let known = saveHeads == nil ? try headScores() : nil
        let model = try modelFlags.load()
        if let known { compression.source = .heads(try known.heads(for: model)) }
        var status = StatusLine(isShown: !json && Output.isTerminal(.standardError))
        defer { status.clear() }
        let start = ContinuousClock.now
        status.show("reading")
        var context = try read(model)
        let reading = ContinuousClock.now - start
        if let saveHeads {
            let scores = try context.headScores(levels.source, threads: modelFlags.threadCount) { share in
                status.show("scoring \(Int(100 * share)) %")
            }
            let url = URL(fileURLWithPath: saveHeads)
            try HeadScoreFile(scores).write(to: url, as: .init(of: url))
            // The file may be the one that was just written.
            if let known = try headScores() { compression.source = .heads(try known.heads(for: model)) }
        }
        let before = context.statistics
        try context.compress(compression, threads: modelFlags.threadCount) { share in
            status.show("scoring \(Int(100 * share)) %")
        }
        let compressing = ContinuousClock.now - start - reading
        try context.save(to: URL(fileURLWithPath: out))
        try show(context.statistics, before, reading: reading / .seconds(1), compressing: compressing / .seconds(1))
    }

    private func read(_ model: Model) throws -> CompressedContext {
        let url = URL(fileURLWithPath: context)
        if try FileHandle(forReadingFrom: url).read(upToCount: 4) == Data("GGUF".utf8) {
            var context = try CompressedContext(contentsOf: url, model: model)
            context.attention = try attention.path()
            return context
        }
        let options = try types.options(FullPolicy(), attention: attention.path())
        let system = contextFlags.system
        var before = system
        if chat, let tokenizer = model.tokenizer {
            before = try tokenizer.contextFrame(system: system.isEmpty ? nil : system).before
        }
        return try CompressedContext(
            reading: Input.text(ofFile: context), after: before, model: model, options: options,
            scoredBy: heads.isEmpty || saveHeads != nil ? levels.source : nil, threads: modelFlags.threadCount)
    }

    /// What the flags say, the scores of --heads left out.
    private func compression() throws -> Compression {
        let budgets: [Compression.Budget] =
            [ratio.map { .ratio($0) }, capacity.map { .capacity($0) }, bytes.map { .bytes($0) }].compactMap { $0 }
        guard budgets.count <= 1 else { throw ValidationError("give one of --ratio, --capacity and --bytes") }
        guard heads.isEmpty || saveHeads != nil || levels.scores == nil else {
            throw ValidationError("--heads brings its scores along: --scores says nothing then")
        }
        let budget = budgets.first ?? .ratio(Compression.Defaults.ratio)
        let level: Compression.Level =
            try heads.isEmpty ? levels.compressionLevel() : .head(sinks: levels.sinks, recent: levels.recent)
        return Compression(budget, level: level, curve: try levels.layerCurve(), source: levels.source)
    }

    /// The scores of --heads, the larger ones of several files; nil if none is named.
    private func headScores() throws -> HeadScoreFile? {
        let files = try heads.map { try HeadScoreFile(contentsOf: URL(fileURLWithPath: $0)) }
        return try files.dropFirst().reduce(files.first) { try $0?.maximum($1) }
    }

    /// What `--json` prints.
    private struct Summary: Encodable {
        let tokens: Int
        let bytes: Int
        let bytesBefore: Int
        let wholeBytes: Int
        /// Bytes of the copy that graphs attend to, and how many of its entries fill up shorter heads; 0 with the kernel.
        let deviceBytes: Int
        let paddedEntries: Int
        let entries: [[Int]]
        let secondsReading: Double
        let secondsCompressing: Double
    }

    private func show(
        _ after: CompressedContext.Statistics, _ before: CompressedContext.Statistics, reading: Double,
        compressing: Double
    ) throws {
        if json {
            return try Output.printJSON(
                Summary(
                    tokens: after.tokens, bytes: after.allocatedBytes, bytesBefore: before.allocatedBytes,
                    wholeBytes: after.wholeBytes, deviceBytes: after.deviceBytes, paddedEntries: after.paddedEntries,
                    entries: after.entries, secondsReading: reading,
                    secondsCompressing: compressing))
        }
        let sizes = after.entries.flatMap { $0 }
        print(
            String(
                format:
                    "%d tokens, %@ of %@ (%.1f %%), %d to %d entries per head; read in %.1f s, compressed in %.1f s",
                after.tokens, Output.bytes(after.allocatedBytes), Output.bytes(after.wholeBytes),
                100 * Double(after.allocatedBytes) / Double(after.wholeBytes), sizes.min() ?? 0, sizes.max() ?? 0,
                reading, compressing))
        guard after.deviceBytes > 0 else { return }
        let padding = Double(after.paddedEntries) / Double(max(1, sizes.reduce(0, +)))
        print(
            String(
                format: "%@ more on the device with the first question; %.1f %% of its entries fill up shorter heads",
                Output.bytes(after.deviceBytes), 100 * padding))
    }
}
