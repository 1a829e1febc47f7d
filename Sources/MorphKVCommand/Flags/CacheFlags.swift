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

    @Option(
        help: ArgumentHelp(
            "Instead of --capacity: bytes that a sequence's cache may take, everything counted, as 64M, 512KiB, or a share "
                + "like 1/8 of what the full cache takes at the sequence's end."))
    var bytes: ByteBudget?

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

    @OptionGroup var attention: AttentionFlags

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

    func validate() throws {
        if capacity != nil, bytes != nil {
            throw ValidationError("--capacity and --bytes do not go together: each says how much is kept")
        }
    }

    /// Whether the flags say how much is kept, or by what.
    var isStated: Bool { policy != nil || capacity != nil || bytes != nil }

    /// The cache that the flags describe. Where a capacity is given and no policy, the policy that was chosen is said on
    /// standard error, if there was a choice.
    ///
    /// - Parameters:
    ///   - length: how long the sequence gets, for a share of the full cache's bytes; nil if nobody knows.
    ///   - pins: whether tokens may be pinned.
    ///   - isQuiet: whether nothing is said.
    /// - Throws: what is wrong with the flags; ``CacheError`` of kind `bytes` if the bytes are too few.
    func options(
        for model: Model, _ registry: PolicyRegistry = .standard,
        length: @autoclosure () throws -> SequenceLength? = nil,
        pins: Bool = false, isQuiet: Bool = false
    ) throws -> CacheOptions {
        let specification = try specification(for: model, registry, isQuiet: isQuiet)
        var options = try storage(pins: pins)
        guard let bytes else { return options.with(try registry.policy(specification)) }
        let length = try length()
        if bytes.isShare, length == nil {
            throw ValidationError(
                "--bytes \(bytes): how long sequences get is not known here; state a number, such as 64M")
        }
        let limit = try bytes.bytes(model, options, tokens: length?.tokens ?? 0)
        options.policy = try FittedCache(
            specification, in: limit, model, options, promptTokens: length?.prompt, registry: registry
        ).policy
        return options
    }

    /// How keys and values are stored; what stays is decided elsewhere.
    ///
    /// - Throws: what is wrong with the flags.
    func storage(pins: Bool = false) throws -> CacheOptions {
        var options = try types.options(
            FullPolicy(), attention: attention.path(), prefill: prefillChunk.map { .chunked($0) } ?? .exact,
            positions: positionLimit)
        options.pins = pins
        return options
    }

    /// What stays, as it is stated; with --bytes without its capacity.
    ///
    /// - Throws: what is wrong with the flags.
    func specification(
        for model: Model, _ registry: PolicyRegistry = .standard, isQuiet: Bool = false
    ) throws -> PolicySpecification {
        let usual =
            policy == nil && (capacity != nil || bytes != nil) ? UsualPolicy(for: model, parameters.map(\.name)) : nil
        var specification = try PolicySpecification(parsing: policy ?? usual?.name ?? FullPolicy.descriptor.name)
        if let capacity { try specification.addCapacity(capacity, in: registry) }
        for (name, value) in parameters { try specification.add(name, value) }
        if bytes == nil { _ = try registry.policy(specification) }
        if !isQuiet, let notice = usual?.notice { try Output.write("\(notice)\n", to: .standardError) }
        return specification
    }
}
