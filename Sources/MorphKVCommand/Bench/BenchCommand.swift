internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

/// Measures speed and memory, on request beside libllama.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure speed and memory, beside libllama on the same file if you like.",
        discussion: """
            Ours and theirs take turns; figures are medians. In long and throughput, which are made once, our side \
            is a whole run and libllama decodes --steps tokens out of every 250 or of every eighth of an answer, which \
            stand for the others; with as many steps it is a whole run too. In moves, theirs is our own cache whose keys are \
            never moved (--position-limit none); in scores, KVzip's, it is our reading of the text; in graph it is the CPU's kernel. Run nothing else meanwhile: ggml's threads \
            wait for each other busily.
            """)

    @OptionGroup var modelFlags: ModelFlags
    @OptionGroup var cache: CacheFlags

    @Argument(help: "What to measure: \(Self.names.joined(separator: ", ")).")
    var measures: [String] = ["decode", "prefill"]

    @Option(help: "Run this beside us: llama.cpp.")
    var compare: String?

    @Option(help: "Lengths of the context or the prompt, in tokens.")
    var lengths = "512,2048"

    @Option(help: "Rounds of each measure.")
    var rounds = 5

    @Option(help: "Tokens decoded per round.")
    var steps = 16

    @Option(help: "Tokens of a long answer.")
    var tokens = 12_000

    @Option(help: "Sequences of a batch.")
    var sequences = 16

    @Flag(help: "Let libllama run long and throughput without flash attention; the others try both.")
    var noFlashAttention = false

    @Flag(help: "Print one JSON object per measure.")
    var json = false

    static let names = [
        "decode", "prefill", "policies", "prompts", "start", "long", "batch", "throughput", "kernel", "profile",
        "moves", "scores", "questions", "graph",
    ]

    func validate() throws {
        if let name = measures.first(where: { !Self.names.contains($0) }) {
            throw ValidationError("there is no measure '\(name)': use \(Self.names.joined(separator: ", "))")
        }
        if let compare, compare != "llama.cpp" {
            throw ValidationError("'\(compare)': only llama.cpp can run beside us")
        }
        guard rounds > 0, steps > 0, tokens > 1, sequences > 0 else {
            throw ValidationError(
                "rounds, steps and sequences must be positive, and a long answer has 2 tokens at least")
        }
        _ = try numbers()
    }

    private func numbers() throws -> [Int] {
        try lengths.split(separator: ",").map {
            guard let number = Int($0), number > 1 else { throw ValidationError("'\($0)' is not a length") }
            return number
        }
    }

    func run() async throws {
        let model = try modelFlags.load()
        let longest = try numbers().max() ?? 2
        let options = try cache.options(for: model, length: SequenceLength(tokens: longest, prompt: longest))
        let bench = Bench(
            model: model, cache: options, threads: modelFlags.threadCount,
            rounds: rounds, steps: steps, comparesLibllama: compare != nil,
            bandwidth: readBandwidth(threads: modelFlags.threadCount), progress: Self.progress)
        try BenchmarkRow.show(
            [BenchmarkRow("read bandwidth", [bench.bandwidth / 1e9], unit: "GB/s")], json: json, withHeader: true)
        let plan = try CachePlan(model, options, tokens: longest)
        try BenchmarkRow.show(
            [
                BenchmarkRow(
                    "cache of \(longest) tokens", [Double(plan.bytes + plan.sharedBytes) / 1e6], unit: "MB",
                    note: options.policy.specification)
            ], json: json)
        for name in measures { try BenchmarkRow.show(await measure(name, bench), json: json) }
        try BenchmarkRow.show(
            [BenchmarkRow("peak resident memory", [Double(peakResidentBytes()) / 1e6], unit: "MB")], json: json)
    }

    private static func progress(_ text: String) {
        guard Output.isTerminal(.standardError) else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[K\(text)\r".utf8))
    }

    private func measure(_ name: String, _ bench: Bench) async throws -> [BenchmarkRow] {
        switch name {
        case "decode": return try bench.decode(lengths: numbers())
        case "prefill": return try bench.prefill(lengths: numbers())
        case "start": return try bench.start()
        case "kernel": return try numbers().flatMap { try bench.kernel(slots: $0) }
        case "profile":
            let sized = try sized([MorphKVPolicy(capacity: slots)], bench)
            return try ([FullPolicy() as any CachePolicy] + sized).flatMap {
                try bench.profile($0, slots: slots(of: sized))
            }
        case "long":
            return try bench.long(
                tokens: tokens, policy: bench.cache.policy, flashAttention: !noFlashAttention)
        case "moves": return try bench.moves(tokens: tokens)
        case "scores": return try bench.scores(lengths: numbers())
        case "questions": return try bench.questions(lengths: numbers())
        case "graph":
            return try sized([MorphKVPolicy(capacity: slots)], bench).flatMap { try bench.graph($0, sequences) }
        case "throughput":
            return try await bench.throughput(
                answers: sequences, tokens: tokens, policy: bench.cache.policy, flashAttention: !noFlashAttention)
        case "batch":
            return try bench.batch(sequences: sequences, policy: bench.cache.policy, lengths: numbers())
        case "prompts":
            return try bench.prompts(
                sized(
                    [MorphKVPolicy(capacity: slots), H2OPolicy(capacity: slots)] + foreseeing(slots, bench.model), bench
                ),
                lengths: numbers())
        default:
            let policies = try sized(
                [
                    MorphKVPolicy(capacity: slots), MorphKVPolicy(capacity: slots, fusion: .max),
                    MorphKVPolicy(capacity: slots, normalization: .candidates),
                    MorphKVPolicy(capacity: slots, fusion: .max, normalization: .candidates),
                ] + foreseeing(slots, bench.model), bench)
            return try bench.policies(policies, slots: slots(of: policies))
        }
    }

    /// Entries per KV head of policies that are measured beside each other, unless --bytes says how much they keep.
    private var slots: Int { cache.capacity ?? 1024 }

    private func slots(of policies: [any CachePolicy]) -> Int {
        policies.compactMap(\.declaredCapacity).max() ?? slots
    }

    /// Policies with the capacity for which --bytes has room; as they are where it is not given.
    private func sized(_ policies: [any CachePolicy], _ bench: Bench) throws -> [any CachePolicy] {
        guard let bytes = cache.bytes else { return policies }
        let limit = try bytes.bytes(bench.model, bench.cache, tokens: numbers().max() ?? 2)
        return try policies.map { policy in
            var specification = PolicySpecification(policy)
            specification.removeCapacity()
            return try FittedCache(specification, in: limit, bench.model, bench.cache).policy
        }
    }

    /// augur with and without attention weights, where the model has a calibration.
    private func foreseeing(_ slots: Int, _ model: Model) throws -> [any CachePolicy] {
        try model.calibration() == nil
            ? [] : [AugurPolicy(capacity: slots), AugurPolicy(capacity: slots, lambda: 0)]
    }
}
