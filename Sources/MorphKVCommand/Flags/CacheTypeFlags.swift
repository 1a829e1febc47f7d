public import ArgumentParser
internal import MorphDemo
public import MorphKV

extension CacheType: ExpressibleByArgument {
    /// Reads a type's name, in any case.
    public init?(argument: String) { self.init(named: argument) }
}

/// What computes attention, shared by all commands that have a cache or a context.
struct AttentionFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What computes attention at decode: automatic, fused (CPU) or graph (any device; which types of keys and values "
                + "depends on it)."))
    var attention = "automatic"

    /// - Throws: what is wrong with the flag.
    func path() throws -> CacheOptions.AttentionPath {
        guard let path = CacheOptions.AttentionPath(rawValue: attention) else {
            throw ValidationError("there is no attention '\(attention)': use automatic, fused or graph")
        }
        return path
    }
}

/// Flags that choose how keys and values are stored, shared by all commands that have a cache.
struct CacheTypeFlags: ParsableArguments {
    @Option(
        name: .customLong("cache-type"),
        help: "Type of stored keys, and of values unless said otherwise (default: f16, of recall and trace f32).")
    var keys: CacheType?

    @Option(name: .customLong("cache-type-v"), help: "Type of stored values (default: that of the keys).")
    var values: CacheType?

    /// How diaries are stored.
    var storage: DiaryStorage { DiaryStorage(keys: keys ?? .f16, values: values) }

    /// A cache of these types.
    func options(
        _ policy: any CachePolicy, default usual: CacheType = .f16,
        attention: CacheOptions.AttentionPath = .automatic, prefill: CacheOptions.PrefillMode = .exact,
        positions: CacheOptions.PositionLimit = .trained
    ) -> CacheOptions {
        CacheOptions(
            policy: policy, elementType: keys ?? usual, valueType: values, attention: attention, prefill: prefill,
            positions: positions)
    }
}
