internal import ArgumentParser
internal import MorphKV

/// Flags that choose a policy, shared by all commands that have a cache.
struct CacheFlags: ParsableArguments {
    @Option(help: "What the cache keeps: a name or name:key=value,... as `morphkv policies` lists them.")
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

    /// The policy that the flags describe; without any, MorphKV if a capacity is given, else the full cache.
    func cachePolicy(_ registry: PolicyRegistry = .standard) throws -> any CachePolicy {
        var specification = try PolicySpecification(parsing: policy ?? (capacity == nil ? "full" : "morphkv"))
        if let capacity { try specification.addCapacity(capacity, in: registry) }
        let flags: [(String, String?)] = [
            ("window", window.map(String.init)), ("fusion", fusion), ("normalization", normalization),
            ("group", groupReduction), ("sinks", sinks.map(String.init)),
        ]
        for case (let parameter, let value?) in flags { try specification.add(parameter, value) }
        return try registry.policy(specification)
    }

    func options(_ registry: PolicyRegistry = .standard) throws -> CacheOptions {
        guard let path = CacheOptions.AttentionPath(rawValue: attention) else {
            throw ValidationError("there is no attention '\(attention)': use automatic, fused or graph")
        }
        return types.options(
            try cachePolicy(registry), attention: path, prefill: prefillChunk.map { .chunked($0) } ?? .exact)
    }
}
