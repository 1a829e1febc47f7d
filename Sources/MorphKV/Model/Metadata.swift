internal import Ggml

/// Typed access to a GGUF file's keys below the architecture's prefix.
struct Metadata {
    let file: GgufFile
    let architecture: String
    /// The context the caller will use; decides between long and short RoPE factors.
    let intendedContext: Int?

    func key(_ name: String) -> String { "\(architecture).\(name)" }

    func integer(_ name: String) throws -> Int? { try file.integer(key(name)) }

    /// A number; what is not finite would turn everything into NaN, and some of it makes ggml abort.
    func float(_ name: String) throws -> Float? {
        guard let value = try file.float(key(name)) else { return nil }
        guard value.isFinite else { throw ModelError(.metadata, "\(file.name): \(key(name)) is \(value)") }
        return value
    }

    /// KV heads of blocks with attention, the most of any block.
    ///
    /// - Parameter type: whether its files may state a number for each block, and different ones.
    func kvHeads(limit: Int, _ type: any Architecture.Type) throws -> Int {
        let name = "attention.head_count_kv"
        guard type.statesHeadsPerBlock || type.variesHeads, let numbers = try headsPerBlock() else {
            return try size(name, limit: limit, otherwise: limit)
        }
        let heads = Set(numbers).subtracting([0])
        guard heads.count <= 1 || type.variesHeads else {
            throw ModelError(.unsupported, "\(file.name): \(key(name)) is \(heads.sorted()) in different blocks")
        }
        for number in heads { _ = try check(name, number, limit: limit) }
        return heads.max() ?? limit
    }

    /// The number of KV heads of each block; nil if the file states one for all.
    func headsPerBlock() throws -> [Int]? {
        let name = "attention.head_count_kv"
        guard let numbers = try? file.integers(key(name)) else { return nil }
        let count = try blockCount()
        guard numbers.count == count else {
            throw ModelError(.metadata, "\(file.name): \(key(name)) has \(numbers.count) entries for \(count) blocks")
        }
        return numbers
    }

    /// Number of blocks, without those at the end that only guess further tokens ahead.
    func blockCount() throws -> Int {
        let all = try size("block_count", limit: 1 << 10)
        guard let guessing = try integer("nextn_predict_layers") else { return all }
        guard (0..<all).contains(guessing) else {
            throw ModelError(
                .metadata, "\(file.name): \(key("nextn_predict_layers")) is \(guessing), not 0 to \(all - 1)")
        }
        return all - guessing
    }

    /// How many tokens back a layer sees, itself included; nil if that is all that the model's context holds.
    ///
    /// Phi-3 states windows beyond its context, for which room would be made at once.
    func slidingWindow(context: Int) throws -> Int? {
        guard let window = try integer("attention.sliding_window"), (1..<context).contains(window) else { return nil }
        return window
    }

    /// A positive whole number up to `limit`.
    func size(_ name: String, limit: Int) throws -> Int {
        guard let value = try integer(name) else {
            throw ModelError(.metadata, "\(file.name): key \(key(name)) is missing")
        }
        return try check(name, value, limit: limit)
    }

    /// A positive whole number up to `limit` that the file states for all blocks, or for each.
    func size(_ name: String, ofBlock block: Int, limit: Int) throws -> Int {
        guard let numbers = try? file.integers(key(name)) else { return try size(name, limit: limit) }
        guard try numbers.count >= blockCount() else {
            throw ModelError(
                .metadata, "\(file.name): \(key(name)) has \(numbers.count) entries for \(try blockCount()) blocks")
        }
        return try check(name, numbers[block], limit: limit)
    }

    /// A positive whole number up to `limit`, or the value to take when the key is missing.
    func size(_ name: String, limit: Int, otherwise: Int) throws -> Int {
        try check(name, integer(name) ?? otherwise, limit: limit)
    }

    /// Which layers see a sliding window only: a flag per layer, or a period n of which the last layer sees everything.
    ///
    /// - Parameter period: what to take when the key is missing.
    func localLayers(_ count: Int, period: Int) throws -> [Bool] {
        let key = key("attention.sliding_window_pattern")
        if let flags = try? file.integers(key) {
            guard flags.count == count else {
                throw ModelError(.metadata, "\(key) has \(flags.count) entries for \(count) layers")
            }
            return flags.map { $0 != 0 }
        }
        let period = try file.integer(key) ?? period
        return (0..<count).map { period <= 0 || $0 % period < period - 1 }
    }

    /// The tensor with the RoPE frequency factors: one for all contexts, or one for long and one for short ones.
    func ropeFactors(_ description: DecoderDescription) -> String? {
        if let factors = file.tensors["rope_freqs.weight"] { return factors.name }
        let original = description.layers.lazy.compactMap(\.rope).first?.originalContext ?? 0
        let isLong = (intendedContext ?? description.contextLength) > original
        return file.tensors[isLong ? "rope_factors_long.weight" : "rope_factors_short.weight"]?.name
    }

    private func check(_ name: String, _ value: Int, limit: Int) throws -> Int {
        guard (1...limit).contains(value) else {
            throw ModelError(.metadata, "\(file.name): \(key(name)) is \(value), not 1 to \(limit)")
        }
        return value
    }
}
