internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Shows what a GGUF file holds and what its cache would cost.",
        discussion: "A file with a vocabulary and no weights is shown as such.")

    @Argument(help: "The GGUF file.", completion: .file(extensions: ["gguf"]))
    var model: String

    @Option(help: "Capacities to show the cost of.", transform: { try numbers($0) })
    var capacities = [256, 1024, 4096]

    @Option(help: "The context to compare with (default: what the model was trained for).")
    var contextLength: Int?

    @Option(
        help: "What `morphkv calibrate` learned about the model (default: model.augur.gguf beside model.gguf).",
        completion: .file(extensions: ["gguf"]))
    var calibration: String?

    @OptionGroup var cache: CacheFlags

    func run() throws {
        let url = try EmbeddedModel.url(named: model)
        let file = try GgufFile(contentsOf: url)
        if file.tensors.isEmpty { return try showVocabulary(url) }
        let model = try Model(
            contentsOf: url, contextLength: contextLength,
            calibration: calibration.map { URL(fileURLWithPath: $0) })
        show(model, file)
        let hasCalibration = try showCalibration(model)
        try showCosts(model, hasCalibration: hasCalibration)
        print("devices: " + Device.all.map { "\($0.name) (\($0.description))" }.joined(separator: ", "))
    }

    private func showVocabulary(_ url: URL) throws {
        let tokenizer = try Tokenizer(contentsOf: url)
        let sample = "Hello, world! 123 naïve 東京 🙂"
        let tokens = tokenizer.encode(sample, addSpecial: false)
        print("\(url.lastPathComponent): a vocabulary of \(tokenizer.vocabularySize) tokens, no weights")
        print("'\(sample)' is \(tokens.count) tokens: \(tokens)")
        print("and back: '\(tokenizer.decode(tokens))'")
    }

    private func show(_ model: Model, _ file: GgufFile) {
        let d = model.description
        let types = Dictionary(grouping: file.tensors.values, by: \.type.description)
            .mapValues { $0.reduce(0) { $0 + $1.bytes } }
            .sorted { $0.value > $1.value }
        print("\(file.name): \(d.architecture), \(d.blockCount) layers, embedding \(d.embeddingLength)")
        let heads = Set(d.layers.map { "\(d.queryHeads) query, \($0.kvHeads) KV, of \($0.headDimension)" }).sorted()
        print("heads: \(heads.joined(separator: ", or ")); vocabulary \(d.vocabularySize)")
        print("trained context: \(d.contextLength) tokens")
        if !d.recurrentBlocks.isEmpty { showRecurrence(d) }
        if !d.queryBlocks.isEmpty { showSharing(d) }
        showFeedForward(d)
        if d.hasAttentionSinks { print("attention: a learned sink per query head") }
        let windows = Set(d.layers.compactMap(\.slidingWindow)).sorted()
        if !windows.isEmpty {
            let count = d.layers.filter { $0.slidingWindow != nil }.count
            print(
                "sliding window: \(windows.map(String.init).joined(separator: ", ")) tokens in \(count) layers, whose keys and "
                    + "values stop growing there")
        }
        print(
            "weights: \(Output.bytes(model.weightBytes)) ("
                + types.map { "\($0.key) \(Output.bytes($0.value))" }.joined(separator: ", ") + ")")
        print("tokenizer: " + (model.tokenizer.map { "\($0.vocabularySize) tokens" } ?? "none"))
    }

    private func showSharing(_ d: DecoderDescription) {
        let sources = Set(d.queryBlocks.map(\.layer)).sorted().map { "\(d.layers[$0].block)" }
        print(
            "keys and values: of \(d.layers.count) of \(d.blockCount) layers; the last \(d.queryBlocks.count) attend to those of "
                + "layers \(sources.joined(separator: " and ")), whose caches count once")
    }

    private func showRecurrence(_ d: DecoderDescription) {
        let kinds = Set(d.recurrentBlocks.map(\.kind.summary)).sorted().joined(separator: ", ")
        print("attention: in \(d.layers.count) of \(d.blockCount) layers, whose keys and values grow with the sequence")
        print(
            "without attention: \(d.recurrentBlocks.count) layers with \(kinds); they remember "
                + "\(Output.bytes(d.recurrentBytes)) of a sequence, however long it is")
    }

    private func showFeedForward(_ d: DecoderDescription) {
        let layers = d.layers
        for feedForward in Set(layers.map(\.feedForward) + d.recurrentBlocks.map(\.feedForward)) {
            guard let experts = feedForward.experts else { continue }
            let shared = experts.sharedLength.map { ", and one of \($0) for every token" } ?? ""
            print("experts: \(experts.used) of \(experts.count) per token, \(feedForward.length) wide\(shared)")
        }
        let unrotated = layers.count { $0.rope == nil }
        if unrotated > 0 { print("layers that know no positions: \(unrotated) of \(d.blockCount)") }
    }

    /// - Returns: whether there is one that can be used.
    private func showCalibration(_ model: Model) throws -> Bool {
        let file = model.calibrationURL.lastPathComponent
        do {
            guard let calibration = try model.calibration() else {
                print("calibration: none (there is no \(file))")
                return false
            }
            print("calibration: \(file), \(Output.bytes(calibration.bytes)); \(calibration.provenance)")
            return true
        } catch  where calibration == nil {
            print("calibration: cannot be used: \(error)")
            return false
        }
    }

    private func showCosts(_ model: Model, hasCalibration: Bool) throws {
        let context = contextLength ?? model.description.contextLength
        let options = try cache.options(for: model, length: SequenceLength(tokens: context))
        let memory = Int(ProcessInfo.processInfo.physicalMemory)
        func row(_ name: String, _ options: CacheOptions, tokens: Int) throws {
            let plan = try CachePlan(model, options, tokens: tokens)
            let fits = plan.bytes + model.weightBytes < memory ? "fits" : "does not fit"
            print("    \(name): \(Output.bytes(plan.bytes)), \(fits) in \(Output.bytes(memory)) with the weights")
            if Set(plan.slots.joined()).count > 1, plan.rules.allSatisfy({ $0 != .everything }) {
                print("        slots of each layer: \(plan.slots.map(Self.slots).joined(separator: ", "))")
            }
        }
        print("cache (\(options.keyType) keys, \(options.valueType) values), all layers together:")
        try row("full, \(context) tokens", options.with(FullPolicy()), tokens: context)
        showGrowth(model.description, options)
        if cache.isStated {
            try row(options.policy.specification, options, tokens: context)
        } else {
            for capacity in capacities where capacity > 1 {
                let policy = MorphKVPolicy(capacity: capacity, window: min(32, capacity / 2))
                try row(policy.specification, options.with(policy), tokens: context)
            }
            let window = AugurPolicy(capacity: 1).window
            for capacity in capacities where hasCalibration && capacity >= window + 2 {
                let policy = AugurPolicy(capacity: capacity)
                try row(policy.specification, options.with(policy), tokens: context)
            }
        }
        let prompt = try CachePlan(model, options, tokens: context).promptBytes
        let hint = options.prefill == .exact ? " (--prefill-chunk makes that constant)" : ""
        print("while a prompt of \(context) tokens is read: \(Output.bytes(prompt)) more\(hint)")
    }

    private func showGrowth(_ d: DecoderDescription, _ options: CacheOptions) {
        let growing = d.layers.filter { $0.slidingWindow == nil }
        let bytes = growing.reduce(0) {
            $0 + $1.kvHeads * (options.keyType.bytes($1.headDimension) + options.valueType.bytes($1.headDimension))
        }
        print(
            growing.isEmpty
                ? "        nothing grows beyond the sliding windows"
                : "        grows by \(Output.bytes(bytes)) a token, the keys and values of \(growing.count) of \(d.blockCount) layers; "
                    + "under a policy of constant size nothing does")
    }

    /// The slots of a layer's heads: "64", or "60/64/70" where they differ.
    private static func slots(_ heads: [Int]) -> String {
        Set(heads).count == 1 ? "\(heads[0])" : heads.map(String.init).joined(separator: "/")
    }

    private static func numbers(_ text: String) throws -> [Int] {
        try text.split(separator: ",").map {
            guard let number = Int($0), number > 0 else { throw ValidationError("'\($0)' is not a capacity") }
            return number
        }
    }
}
