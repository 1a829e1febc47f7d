public import ArgumentParser
internal import MorphDemo
public import MorphKV

extension CacheType: ExpressibleByArgument {
    /// Reads a type's name, in any case.
    public init?(argument: String) { self.init(named: argument) }
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
