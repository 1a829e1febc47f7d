internal import ArgumentParser
internal import Foundation
internal import MorphDemo
internal import MorphEval
internal import MorphKV

/// Flags of `morphkv recall --attention`.
struct AttentionRecallFlags: ParsableArguments {
    @Flag(help: "Measure what policies hold of the full cache's attention, instead of cutting a context.")
    var attention = false

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "With --attention: policies without their capacity, as name or name:key=value,... (default: every one that has "
                + "a capacity)."))
    var policy: [String] = []

    @Option(help: "With --attention: tokens of a part of the text, fed by itself (default: the trained context).")
    var part: Int?

    @Option(help: "With --attention: which share of a part enters at once, as a prompt (default: 0.5).")
    var promptShare: Double?

    /// Whether a flag is given that is for --attention only.
    var isStated: Bool { !policy.isEmpty || part != nil || promptShare != nil }

    func validate() throws {
        if let part, part < 2 { throw ValidationError("--part \(part): 2 or more is needed") }
        if let promptShare, !(0..<1).contains(promptShare) {
            throw ValidationError("--prompt-share \(promptShare): 0 to less than 1 is needed")
        }
    }
}

extension RecallCommand {
    /// Measures what policies hold of the attention, and prints it.
    func measureAttention(of model: Model) throws {
        guard let tokenizer = model.tokenizer else { throw ValidationError("the model has no tokenizer") }
        let tokens = tokenizer.encode(try Input.text(ofFile: context))
        let texts = texts(of: tokens, part: attentionFlags.part ?? model.description.contextLength)
        let longest = texts.map(\.tokens.count).max() ?? 0
        let caches = try DemoMethod.methods(policies(for: model), capacities(longest)).map { method in
            try types.options(cachePolicy(method, model, longest), default: .f32)
        }
        var status = StatusLine(isShown: !json && Output.isTerminal(.standardError))
        defer { status.clear() }
        let rows = try AttentionRecall.measure(model, caches, texts: texts, threads: modelFlags.threadCount) { share in
            status.show("measuring \(Int(100 * share)) %")
        }
        if json { return try rows.forEach(Output.printJSON) }
        try Output.write(ReportPage(attention: AttentionReport(rows), command: Output.command).markdown)
    }

    /// How much is kept of parts of which the longest has so many tokens.
    private func capacities(_ longest: Int) throws -> [DemoCapacity] {
        guard bytes.isEmpty else { return bytes.map { DemoCapacity($0) } }
        return try shares(ratios ?? "0.5,0.25,0.125,0.0625").map { ratio in
            guard ratio > 0, ratio <= 1 else {
                throw ValidationError("--ratios \(ratio): more than 0, at most 1 is needed")
            }
            return DemoCapacity.entries(max(1, Int(ratio * Double(longest))))
        }
    }

    /// A method's policy, with the entries that are stated or that fit into the bytes.
    private func cachePolicy(_ method: DemoMethod, _ model: Model, _ longest: Int) throws -> any CachePolicy {
        let budget: ByteBudget
        switch method.capacity {
        case .bytes(let count): budget = .bytes(count)
        case .share(let part, let whole): budget = .share(part, of: whole)
        case .entries, nil: return try method.cachePolicy(responseTokens: longest)
        }
        let options = types.options(FullPolicy(), default: .f32)
        return try FittedCache(
            PolicySpecification(parsing: method.policy), in: budget.bytes(model, options, tokens: longest), model,
            options
        ).policy
    }

    /// The policies that are named; else all that have a capacity.
    private func policies(for model: Model) throws -> [String] {
        guard attentionFlags.policy.isEmpty else { return attentionFlags.policy }
        let names = Set(PolicyRegistry.standard.descriptors.filter { $0.capacity != nil }.map(\.name))
        return try DemoMethod.allPolicies(for: model).filter(names.contains)
    }

    /// Parts of a text that are fed by themselves; a rest that is too short for a prompt and a step is left out.
    private func texts(of tokens: [Token], part: Int) -> [Calibrator.Text] {
        stride(from: 0, to: tokens.count, by: part).compactMap { start in
            let own = Array(tokens[start..<min(start + part, tokens.count)])
            guard own.count > 1 else { return nil }
            let prompt = Int(Double(own.count) * (attentionFlags.promptShare ?? 0.5))
            return Calibrator.Text(own, answer: max(1, min(prompt, own.count - 1)))
        }
    }
}
