internal import ArgumentParser
internal import Foundation
internal import MorphDemo
internal import MorphKV

struct EvalDemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Measures policies on the demo's prompts.",
        discussion: """
            Every prompt asks for a diary of 20 to 60 weeks with instructions for one week, for runs of weeks and for \
            every so many weeks; the diary makes plans of its own too. Answers are greedy. A capacity like 1/8 is that \
            share of what the model writes to the same prompt with a full cache (default: 1/8). A window that is not stated is the \
            policy's default, but at most a quarter of the capacity. A share of bytes is one of the full cache's in f16, whatever \
            --cache-type is: so types of keys and values are compared at equal bytes.
            """)

    @OptionGroup var modelFlags: DemoModelFlags

    @Option(
        parsing: .upToNextOption,
        help: "Policies without their capacity, as name or name:key=value,...; 'all' for every one and its variants.")
    var policy = ["all"]

    @Option(
        parsing: .upToNextOption, help: "Entries per KV head, as a number or as a share of the response like 1/8.",
        transform: Self.capacity)
    var capacity: [DemoCapacity] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Instead of --capacity: bytes that the cache may take, everything counted, as 64K, or a share like 1/8 of what the "
                + "full cache takes for the response."))
    var bytes: [ByteBudget] = []

    @Option(help: "Prompts.")
    var samples = 20

    @Option(
        help: "Answers to decode as one batch, which is faster than --parallel; sums are rounded a little differently.")
    var batch = 1

    @OptionGroup var conditions: DiaryConditionFlags
    @OptionGroup var types: CacheTypeFlags

    @Flag(
        help: ArgumentHelp(
            "Shares of --capacity are of the bytes that the full cache takes for the response, as those of --bytes are."
        ))
    var equalBytes = false

    @Flag(help: "Print one JSON object a line, each as soon as it is there, instead of a table.")
    var json = false

    func validate() throws {
        guard bytes.isEmpty || capacity.isEmpty else {
            throw ValidationError("--capacity and --bytes do not go together: each says how much is kept")
        }
        guard samples >= 1 else { throw ValidationError("--samples \(samples): 1 or more is needed") }
        guard batch >= 1 else { throw ValidationError("--batch \(batch): 1 or more is needed") }
    }

    func run() async throws {
        let model = try modelFlags.load()
        let policies = try policy.flatMap { $0 == "all" ? try DemoMethod.allPolicies(for: model) : [$0] }
        let methods = try DemoMethod.methods(policies, capacities)
        let evaluation = DemoEvaluation(
            try DiaryWriter(model, threads: modelFlags.threads, storage: types.storage),
            tasks: DiaryTask.tasks(seed: modelFlags.seed, count: samples), jobs: modelFlags.parallel ?? 1, batch: batch,
            conditions: conditions.conditions,
            comparesBytes: equalBytes || !bytes.isEmpty)
        let display = ProgressDisplay()
        defer { display.finish() }
        var results: [DemoResult] = []
        try await evaluation.run(methods) {
            display.show(done: $0.done, of: $0.total)
        } result: {
            results.append($0)
            if json { try Output.printJSON($0) }
        }
        display.finish()
        guard !json else { return }
        try Output.write(TextTable(header: DemoResult.tableHeader, rows: results.map(\.tableRow)).text)
        print("\n\(samples) prompts of seed \(modelFlags.seed). Made by `\(Output.command)`.")
    }

    private var capacities: [DemoCapacity] {
        if !bytes.isEmpty { return bytes.map { DemoCapacity($0) } }
        return capacity.isEmpty ? [.share(1, of: 8)] : capacity
    }

    private static func capacity(_ text: String) throws -> DemoCapacity {
        guard let capacity = DemoCapacity(text) else {
            throw ValidationError("'\(text)' is neither a number of entries nor a share like 1/8")
        }
        return capacity
    }
}
