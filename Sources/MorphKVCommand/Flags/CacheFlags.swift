public import ArgumentParser
internal import Foundation
public import MorphKV

extension CacheOptions.PositionLimit: ExpressibleByArgument {}

/// Flags that choose a policy, shared by all commands that have a cache.
struct CacheFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What the cache keeps: a name or name:key=value,... as `morphkv policies` lists them (default: with a "
                + "capacity augur if the model has a calibration, else morphkv; without one everything)."))
    var policy: String?

    @Option(help: "Entries per KV head, the current token included.")
    var capacity: Int?

    @Option(help: "Recent tokens that stay and whose queries vote.")
    var window: Int?

    @Option(help: "How the queries of the window are combined.")
    var fusion: String?

    @Option(help: "Whether weights are renormalised over the candidates.")
    var normalization: String?

    @Option(help: "How the query heads of a KV head are combined.")
    var groupReduction: String?

    @Option(help: "First positions that always stay.")
    var sinks: Int?

    @OptionGroup var types: CacheTypeFlags

    @Option(help: "What computes attention at decode: automatic, fused (CPU) or graph (any device, f16 or f32).")
    var attention = "automatic"

    @Option(help: "Let the prompt enter in parts of this many tokens, compressed after each: constant memory.")
    var prefillChunk: Int?

    @Option(
        help: ArgumentHelp(
            "How far back a token sees, in positions: trained (from the end of the trained context on below three quarters "
                + "of it), none (as far as there are entries) or a number of tokens. Caches that grow see everything."))
    var positionLimit = CacheOptions.PositionLimit.trained

    /// The parameters that flags of their own state.
    private var parameters: [(name: String, value: String)] {
        let flags: [(String, String?)] = [
            ("window", window.map(String.init)), ("fusion", fusion), ("normalization", normalization),
            ("group", groupReduction), ("sinks", sinks.map(String.init)),
        ]
        return flags.compactMap { name, value in value.map { (name, $0) } }
    }

    /// The cache that the flags describe. Where a capacity is given and no policy, the policy that was chosen is said on
    /// standard error, if there was a choice.
    ///
    /// - Parameter isQuiet: whether nothing is said.
    /// - Throws: what is wrong with the flags.
    func options(
        for model: Model, _ registry: PolicyRegistry = .standard, isQuiet: Bool = false
    ) throws -> CacheOptions {
        guard let path = CacheOptions.AttentionPath(rawValue: attention) else {
            throw ValidationError("there is no attention '\(attention)': use automatic, fused or graph")
        }
        return types.options(
            try cachePolicy(for: model, registry, isQuiet), attention: path,
            prefill: prefillChunk.map { .chunked($0) } ?? .exact, positions: positionLimit)
    }

    private func cachePolicy(for model: Model, _ registry: PolicyRegistry, _ isQuiet: Bool) throws -> any CachePolicy {
        let usual = policy == nil && capacity != nil ? UsualPolicy(for: model, parameters.map(\.name)) : nil
        var specification = try PolicySpecification(parsing: policy ?? usual?.name ?? FullPolicy.descriptor.name)
        if let capacity { try specification.addCapacity(capacity, in: registry) }
        for (name, value) in parameters { try specification.add(name, value) }
        let chosen = try registry.policy(specification)
        if !isQuiet, let notice = usual?.notice { try Output.write("\(notice)\n", to: .standardError) }
        return chosen
    }
}
