internal import ArgumentParser
internal import Foundation
internal import MorphEval
internal import MorphKV

struct JudgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "judge", abstract: "Has a model judge runs of LongGenBench and LongWriter.",
        discussion: """
            Verdicts are written beside each run (run.judge.json), where `morphkv report` finds them. Answers are kept, \
            so that an interrupted call continues and nothing is paid for twice. The key of the endpoint is taken from \
            the environment, MORPHKV_JUDGE_KEY.
            """)

    @Argument(help: "Result files of `morphkv eval`; those of shards of a run are one run.")
    var runs: [String]

    @Option(help: "An OpenAI-compatible endpoint, such as https://host/v1.")
    var judgeUrl: String?

    @Option(help: "The model's name at the endpoint.")
    var judgeModel: String?

    @Option(help: "Judge with this GGUF model on this machine instead.", completion: .file(extensions: ["gguf"]))
    var judgeGguf: String?

    @OptionGroup var threadFlags: ThreadFlags

    @Option(help: "LongWriter: a clone of its repository or its judge.txt.")
    var data: String?

    @Option(help: "Where answers are kept (default: .judge-cache.jsonl beside the first run).")
    var judgeCache: String?

    @Option(help: "Requests at a time.")
    var judgeConcurrency = 8

    @Option(help: "Seconds that one request may take.")
    var judgeTimeout = 120

    @Option(help: "How often a request is made at most.")
    var judgeAttempts = 6

    @Option(help: "The price of a million prompt tokens, to say what the requests will cost.")
    var judgePrice: Double?

    @Flag(help: "Only say how many requests there would be.")
    var dryRun = false

    func validate() throws {
        guard (judgeUrl == nil) != (judgeGguf == nil) else {
            throw ValidationError("name either --judge-url and --judge-model, or --judge-gguf")
        }
        guard (judgeUrl == nil) == (judgeModel == nil) else {
            throw ValidationError("--judge-url and --judge-model belong together")
        }
        for (name, value) in [
            ("--judge-concurrency", judgeConcurrency), ("--judge-timeout", judgeTimeout),
            ("--judge-attempts", judgeAttempts),
        ] where value < 1 {
            throw ValidationError("\(name) \(value): 1 or more is needed")
        }
    }

    func run() async throws {
        signal(SIGXFSZ, SIG_IGN)
        let urls = runs.map { URL(fileURLWithPath: $0) }
        let tasks = try urls.map(task)
        let beside = urls[0].deletingLastPathComponent().appendingPathComponent(".judge-cache.jsonl")
        let cache = try JudgeCache(judgeCache.map { URL(fileURLWithPath: $0) } ?? beside)
        let panel = JudgePanel(judge: try judge(), cache: cache)
        try await announce(panel, zip(urls, tasks).map { ($0, $1) })
        guard !dryRun else { return }
        for (url, task) in zip(urls, tasks) {
            let display = ProgressDisplay()
            defer { display.finish() }
            try await RunJudge(panel: panel, task: task).judge(url) { done, total in
                display.show(done: done, of: total)
            }
            display.finish()
        }
        for run in try await EvaluationRun.runs(at: urls) {
            let scores = run.verdicts
            let list = scores.map { "\($0.name) \($0.value.map { String(format: "%.2f", $0) } ?? "-")" }
            print("\(run.name): n = \(scores.last?.count ?? 0): \(list.joined(separator: ", "))")
            if let missing = run.missing { print(missing) }
        }
    }

    private func judge() throws -> any Judge {
        if let judgeGguf {
            return try LocalJudge(Model(contentsOf: URL(fileURLWithPath: judgeGguf)), threads: threadFlags.threads)
        }
        #if Evaluation
        guard let judgeUrl, let judgeModel, let url = URL(string: judgeUrl) else {
            throw ValidationError("'\(judgeUrl ?? "")' is not a URL")
        }
        var retry = RetryPolicy()
        retry.attempts = judgeAttempts
        let key = ProcessInfo.processInfo.environment["MORPHKV_JUDGE_KEY"]
        return try HTTPJudge(
            url: url, model: judgeModel, key: key, concurrency: judgeConcurrency,
            timeout: .seconds(judgeTimeout), retry: retry)
        #else
        throw ValidationError("this morphkv was built without the trait Evaluation: only --judge-gguf is possible")
        #endif
    }

    private func task(for run: URL) throws -> any VerdictTask {
        guard let line = try RunJudge.lines(of: run).first else {
            throw ValidationError("\(run.path) holds no results yet")
        }
        let benchmarks = BenchmarkRegistry.standard
        guard let judging = benchmarks[line.settings.benchmark]?.judging else {
            let names = benchmarks.benchmarks.filter { $0.judging != nil }.map(\.name).joined(separator: " and ")
            throw ValidationError("\(run.path): only runs of \(names) have a judge")
        }
        if data == nil, let missing = judging.missingData { throw ValidationError(missing) }
        return try judging.task(data.map { URL(fileURLWithPath: $0) })
    }

    /// Says on standard error what is about to be asked.
    private func announce(_ panel: JudgePanel, _ runs: [(URL, any VerdictTask)]) async throws {
        let questions = try runs.flatMap { url, task in
            try RunJudge.lines(of: url).flatMap { try task.questions(about: $0) }
        }
        let estimate = await panel.estimate(questions)
        let price = judgePrice.map {
            String(format: ", about %.4f at %@ per million", Double(estimate.promptTokens) / 1e6 * $0, "\($0)")
        }
        try Output.write(
            "\(estimate.questions) questions, \(estimate.cached) answered before; \(estimate.requests) requests, "
                + "about \(estimate.promptTokens) prompt tokens\(price ?? "")\n", to: .standardError)
    }
}
