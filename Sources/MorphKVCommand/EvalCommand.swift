internal import ArgumentParser
internal import Foundation
internal import MorphEval
internal import MorphKV

struct EvalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmark", abstract: "Runs a benchmark with any policy and writes the answers down.",
        discussion: """
            Answers are added to the file sample by sample; the same call continues a run that was interrupted. \
            `morphkv score`, `judge` and `report` read the file.

            benchmarks:
            \(BenchmarkRegistry.standard.benchmarks.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))
            """)

    @Argument(help: "The benchmark: \(BenchmarkRegistry.standard.benchmarks.map(\.name).joined(separator: ", ")).")
    var benchmark: String

    @Option(
        help: "The benchmark's files: a clone of its repository, a folder of it, or a file; of logbook there are none.")
    var data: String?

    @Option(help: "Which part of the benchmark; a wrong name lists them.")
    var dataset: String?

    @Option(help: "Run the first samples only.")
    var samples: Int?

    @Option(help: "Ask each sample so many times, for pass@1 of answers that are drawn (--temperature).")
    var repeats = 1

    @Option(help: "LongGenBench: run the first samples of each type only.")
    var samplesPerType: Int?

    @Option(name: [.short, .long], help: "The file to write, one JSON object a line.")
    var out: String

    @OptionGroup var modelFlags: ModelFlags
    @OptionGroup var cache: CacheFlags

    @Option(
        help: ArgumentHelp(
            "The result file of the same samples with the full cache: shares of --bytes are of what each took there "
                + "(default: of prompt and longest answer)."))
    var fullRun: String?

    @OptionGroup var sampling: SamplingFlags

    @Flag(help: "Leave out the model's chat template.")
    var raw = false

    @Option(name: [.customShort("n"), .long], help: "Tokens to write at most (default: the benchmark's own limit).")
    var maxTokens: Int?

    @Option(help: "Cut the middle out of longer prompts (default: what the model's context has room for).")
    var maxPromptTokens: Int?

    @Option(help: "niah: the lengths of the haystacks in tokens.", transform: { try Self.numbers($0, as: Int.self) })
    var lengths = [1000, 2000, 4000, 8000]

    @Option(help: "niah: the depths of the needle in percent.", transform: { try Self.numbers($0, as: Double.self) })
    var depths = stride(from: 0.0, through: 100, by: 10).map(\.self)

    @Option(help: "Answer so many samples at a time, each with --threads threads; the answers are the same.")
    var parallel = 1

    @Option(
        help: ArgumentHelp(
            "Answer one part of the run, such as 3/16: every 16th sample from the third on. `report` and `judge` take the "
                + "files of all parts as one run."),
        transform: { text in
            guard let shard = Shard(text) else { throw ValidationError("'\(text)' is not a part such as 3/16") }
            return shard
        })
    var shard: Shard?

    @Flag(help: "niah: draw the recall by depth and length, here and as a page beside the file.")
    var report = false

    func validate() throws {
        for (name, value) in [
            ("--samples", samples), ("--samples-per-type", samplesPerType), ("--max-tokens", maxTokens),
            ("--max-prompt-tokens", maxPromptTokens), ("--parallel", parallel), ("--repeats", repeats),
        ] {
            if let value, value < 1 { throw ValidationError("\(name) \(value): 1 or more is needed") }
        }
        if fullRun != nil, cache.bytes?.isShare != true {
            throw ValidationError("--full-run says what a share of --bytes is a share of; there is none")
        }
        if repeats > 1000 { throw ValidationError("--repeats \(repeats): at most 1000") }
        if repeats > 1, sampling.options.temperature == 0 {
            throw ValidationError("--repeats \(repeats): without --temperature all answers are the same")
        }
        if data == nil {
            let generated = BenchmarkRegistry.standard.benchmarks.filter(\.isGenerated).map(\.name)
            guard generated.contains(benchmark) || BenchmarkRegistry.standard[benchmark] == nil else {
                throw ValidationError("--data is missing: where the files of \(benchmark) are")
            }
        }
        if samplesPerType != nil { try require(\.hasTypes) { "only \($0) has types; use --samples" } }
        if report {
            try require({ $0.heatMap != nil }) {
                "--report draws \($0); for other benchmarks use `morphkv report`"
            }
        }
    }

    /// Refuses a flag that is for other benchmarks, whose names go into the message.
    private func require(
        _ isFitting: (BenchmarkDefinition) -> Bool, _ message: (_ names: String) -> String
    ) throws {
        let fitting = BenchmarkRegistry.standard.benchmarks.filter(isFitting).map(\.name)
        guard fitting.contains(benchmark) else {
            throw ValidationError(message(fitting.joined(separator: ", ")))
        }
    }

    func run() async throws {
        // A limit on the size of files is to be an error like a full disk, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        let benchmark = try BenchmarkRegistry.standard.benchmark(benchmark)
        let dataset = try benchmark.dataset(named: dataset)
        let model = try modelFlags.load()
        let budget = try sampleBudget(model)
        let options = try budget == nil ? cache.options(for: model) : cache.storage()
        let answering = try SessionModel(
            model, cache: options, budget: budget, sampling: sampling.options,
            threads: modelFlags.threadFlags.threads ?? max(1, modelFlags.threadCount / parallel))

        var request = BenchmarkDefinition.Request(data: URL(fileURLWithPath: data ?? ""), dataset: dataset)
        request.samplesPerType = samplesPerType
        request.lengths = lengths
        request.depths = depths
        let all = try benchmark.samples(request, answering.codec)
        let chosen = EvaluationSample.repeated(Array(all.prefix(samples ?? all.count)), times: repeats)
        guard !chosen.isEmpty else { throw EvaluationError(.format, file: request.data, "it holds no samples") }
        let settings = try EvaluationSettings(
            benchmark.name, dataset: dataset, samples: chosen, model: model, cache: options, budget: budget,
            sampling: sampling.options, usesChatTemplate: !raw, maximumNewTokens: maxTokens,
            maximumPromptTokens: maxPromptTokens, contextLength: modelFlags.contextLength)
        var runner = EvaluationRunner(model: answering, settings: settings, samples: chosen, samplesAtATime: parallel)
        runner.shard = shard
        runner.budget = budget
        runner.command = Output.command

        let display = ProgressDisplay()
        defer { display.finish() }
        let url = URL(fileURLWithPath: out)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        let end = try await runner.run(to: url) { display.show($0) }
        display.finish()
        let part = shard.map { " of shard \($0)" } ?? ""
        try Output.write("\(out): \(end.done) of \(end.total) samples\(part)\n", to: .standardError)
        if report { try await HeatMapWriter(run: url).write() }
    }

    /// The bytes that samples' caches may take; nil where their capacity is stated.
    private func sampleBudget(_ model: Model) throws -> SampleBudget? {
        guard let bytes = cache.bytes else { return nil }
        let policy = try cache.specification(for: model)
        guard let fullRun else { return SampleBudget(policy, bytes: bytes) }
        return try SampleBudget(policy, bytes: bytes, ofFullRun: URL(fileURLWithPath: fullRun))
    }

    private static func numbers<Number: LosslessStringConvertible & Comparable & ExpressibleByIntegerLiteral>(
        _ text: String, as _: Number.Type
    ) throws -> [Number] {
        try text.split(separator: ",").map {
            guard let number = Number(String($0)), number >= 0 else {
                throw ValidationError("'\($0)' is not a number of 0 or more")
            }
            return number
        }
    }
}
