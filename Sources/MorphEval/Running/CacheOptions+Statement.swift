package import MorphKV

extension CacheOptions {
    /// What a run states of a cache beside its policy: the types of keys and values, and what is not as usual.
    package var statement: String {
        var parts = [keyType == valueType ? "\(keyType)" : "\(keyType) keys, \(valueType) values"]
        if attention != .automatic { parts.append("\(attention.rawValue) attention") }
        if case .chunked(let size) = prefill { parts.append("prompt in parts of \(size)") }
        return parts.joined(separator: ", ")
    }
}
