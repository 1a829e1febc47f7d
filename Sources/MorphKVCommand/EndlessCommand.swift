internal import ArgumentParser
internal import CAllocator
internal import Foundation
internal import MorphKV

struct EndlessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endless", abstract: "Measures how a sequence holds far beyond the context of its model.",
        discussion: """
            With texts: they are read in turns, token by token, and every prediction is compared with that of a full cache \
            which reads each text alone. Without: the model writes, and a fresh full cache says how likely windows of 256 \
            tokens are. With --questions: a text with facts is read, the texts of --file after it in turns, and after each \
            of --at tokens all questions are asked, each of a copy. A table in Markdown, or with --json one object per line.
            """)

    @OptionGroup var modelFlags: ModelFlags
    @OptionGroup var cache: CacheFlags
    @OptionGroup var sampling: SamplingFlags

    @Option(name: [.short, .long], parsing: .upToNextOption, help: "Texts to read in turns.")
    var file: [String] = []

    @Option(help: "Read each text in parts of so many tokens, as texts of their own (default: whole).")
    var part: Int?

    @Option(
        parsing: .upToNextOption,
        help: "Positions between which reading is looked at, or after which writing is, ascending.")
    var at: [Int] = []

    @Option(help: "Windows of 256 tokens that are looked at after each position.")
    var windows = 64

    @Option(help: "What is read first, and asked about with --questions.")
    var facts: String?

    @Option(help: "Questions, one JSON object per line: {\"question\": ..., \"answer\": how the answer must begin}.")
    var questions: String?

    @Flag(help: "Pin the facts: no cache of constant size drops them.")
    var pinFacts = false

    @Option(help: "Measure this instead of our cache: llama.cpp with its context shift, with --capacity entries.")
    var instead: String?

    @Flag(help: "Print one JSON object per line.")
    var json = false

    func validate() throws {
        guard (facts == nil) == (questions == nil), !pinFacts || facts != nil, facts == nil || !file.isEmpty else {
            throw ValidationError("--facts and --questions go together, with the texts of --file after them")
        }
        guard at.count > (file.isEmpty || facts != nil ? 0 : 1), at == at.sorted(), Set(at).count == at.count,
            at[0] >= 0
        else {
            throw ValidationError("--at needs ascending positions: two or more for reading, one or more for writing")
        }
        let apart = zip(at, at.dropFirst()).allSatisfy { $1 - $0 >= windows * LongWriting.window }
        guard windows > 0, !file.isEmpty || apart else {
            throw ValidationError("positions must be \(LongWriting.window) tokens apart for each of \(windows) windows")
        }
        guard instead == nil || facts == nil && instead == "llama.cpp" && cache.capacity ?? 0 > 3 else {
            throw ValidationError(
                "'\(instead!)': only llama.cpp can be measured instead, with a --capacity and without --facts")
        }
        guard part ?? .max > LongReading.skipped + 1 else {
            throw ValidationError("parts of \(LongReading.skipped + 2) tokens at least are needed")
        }
    }

    func run() throws {
        let model = try modelFlags.load()
        let threads = modelFlags.threadCount
        if let facts, let questions { return try ask(model, facts, try RecallCommand.questions(questions)) }
        if instead != nil {
            let sequence = try ShiftingBaseline(model, length: cache.capacity!, threads: threads)
            try measure(sequence, model, named: "llama.cpp, context shift")
        } else {
            let options = try cache.options(
                for: model, length: SequenceLength(tokens: at.last! + windows * LongWriting.window))
            let engine = try Engine(model, options, threads: threads, reserve: at.last! + windows * LongWriting.window)
            try measure(engine, model, named: options.policy.specification)
        }
    }

    private func measure(_ sequence: some FedSequence, _ model: Model, named name: String) throws {
        var status = StatusLine(isShown: Output.isTerminal(.standardError))
        if !file.isEmpty {
            let texts = try texts(model)
            let rows = try LongReading.measure(
                model, sequence, texts: texts, edges: at, threads: modelFlags.threadCount
            ) { status.show("\($0) of \(at.last!) tokens") }
            status.clear()
            return try show(rows, named: name)
        }
        if !json {
            try Output.write("| \(name) | log-likelihood | repeated 8-grams | heap bytes |\n|---|---|---|---|\n")
        }
        let usual = try LongWriting.fresh(
            model, windows: windows, sampling: sampling.options, threads: modelFlags.threadCount
        ) { status.show("\($0) of \(windows) fresh sequences") }
        status.clear()
        try show(usual, "256 to 512, full cache")
        try LongWriting.measure(
            model, sequence, marks: at, windows: windows, sampling: sampling.options, threads: modelFlags.threadCount
        ) {
            status.show("\($0) tokens")
        } reached: {
            status.clear()
            try show($0, "\($0.position)")
        }
    }

    private func ask(_ model: Model, _ facts: String, _ questions: [Recall.Question]) throws {
        let (texts, tokenizer) = (try texts(model), model.tokenizer!)
        let options = try cache.options(for: model, length: SequenceLength(tokens: at.last!), pins: pinFacts)
        let beginning = tokenizer.encode(try Input.text(ofFile: facts), parseSpecial: true)
        var status = StatusLine(isShown: Output.isTerminal(.standardError))
        if !json {
            try Output.write("| \(options.policy.specification) | tokens pinned | right answers |\n|---|---|---|\n")
        }
        try LongMemory.measure(
            model, options, beginning: beginning, isPinned: pinFacts, texts: texts, marks: at, questions: questions,
            threads: modelFlags.threadCount
        ) {
            status.show("\($0) of \(at.last!) tokens")
        } reached: { row in
            status.clear()
            if json { return try Output.printJSON(row) }
            try Output.write("| \(row.position) | \(row.pinned) | \(row.right) of \(row.questions) |\n")
        }
    }

    private func texts(_ model: Model) throws -> [[Token]] {
        guard let tokenizer = model.tokenizer else { throw ValidationError("the model has no tokenizer") }
        return try file.flatMap { path -> [[Token]] in
            let tokens = tokenizer.encode(try Input.text(ofFile: path))
            guard let part else { return [tokens] }
            return stride(from: 0, to: tokens.count, by: part).map { Array(tokens[$0..<min($0 + part, tokens.count)]) }
                .filter { $0.count > LongReading.skipped + 1 }
        }
    }

    private func show(_ rows: [LongReading], named name: String) throws {
        if json { return try rows.forEach(Output.printJSON) }
        print("| \(name) | tokens | KL | perplexity | each text alone |\n|---|---|---|---|---|")
        for row in rows {
            print(
                String(
                    format: "| %d to %d | %d | %.4f | %.3f | %.3f |", row.from, row.to, row.tokens, row.meanKL,
                    row.perplexity, row.freshPerplexity))
        }
    }

    private func show(_ row: LongWriting, _ place: String) throws {
        if json { return try Output.printJSON(row) }
        let heap = allocator_heap_bytes()
        try Output.write(
            String(
                format: "| %@ | %.3f +- %.3f | %.1f %% | %@ |\n", place, row.logLikelihood, row.error,
                100 * row.repeats,
                heap > 0 ? "\(heap)" : "-"))
    }
}
