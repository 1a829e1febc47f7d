internal import Ggml

// What blocks without attention remember, in files.

extension CacheFileWriter {
    /// Announces what was remembered of a text; nothing if it is nil.
    ///
    /// - Parameter prefix: what tells it from others in the file.
    func add(_ copy: RecurrentCopy?, of description: DecoderDescription, prefix: String = "") throws {
        guard let copy, let state = try RecurrentState(description) else { return }
        for ((name, _), values) in zip(state.tensors, copy.values) { add(prefix + name, values) }
    }
}

extension CacheFileReader {
    /// What was remembered; nil for models without blocks that remember.
    ///
    /// - Throws: ``SavedCacheError`` of kind `damaged` if it is not there, or not finite.
    func recurrentCopy(prefix: String = "") throws -> RecurrentCopy? {
        guard let state = try RecurrentState(model.description) else { return nil }
        return RecurrentCopy(
            values: try state.tensors.map { name, tensor in
                let values = try floats(prefix + name, count: tensor.count)
                guard values.allSatisfy(\.isFinite) else {
                    throw damaged("\(prefix + name) has numbers that are not finite")
                }
                return values
            })
    }
}
