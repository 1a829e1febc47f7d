internal import Foundation
internal import Ggml

/// Reads saved caches; everything is checked before it is used.
struct CacheFileReader {
    let file: GgufFile
    let model: Model
    /// What frozen entries point into.
    let mapping: MappedFile

    /// Opens a file and checks what it is, whom it belongs to and that it is whole.
    ///
    /// - Throws: ``SavedCacheError``, or `GgmlError` of kind `file` if it cannot be read.
    init(_ url: URL, _ kind: CacheFile.Kind, _ model: Model) throws {
        self.model = model
        do {
            file = try GgufFile(contentsOf: url)
            guard try file.string("general.architecture") == CacheFile.architecture else {
                throw SavedCacheError(.notACache, "\(file.name) is a GGUF file, but not a saved context or session")
            }
            mapping = try MappedFile(url)
            let version = try integer("version", in: 1...Int(UInt32.max))
            guard version <= CacheFile.version else {
                throw SavedCacheError(
                    .newerVersion, "\(file.name) has version \(version); this one reads up to \(CacheFile.version)")
            }
            try file.checkSeal(mapping)
            let found = try string("kind")
            guard found == kind.rawValue else {
                throw SavedCacheError(.notACache, "\(file.name) is a saved \(found), not a \(kind.rawValue)")
            }
            let fingerprint = try string("model")
            guard fingerprint == model.fingerprint else {
                throw SavedCacheError(
                    .otherModel,
                    "\(file.name) was made with the model \(fingerprint); this one is \(model.fingerprint)")
            }
        } catch let error as GgmlError where error.kind == .format || error.kind == .metadata {
            throw SavedCacheError(.damaged, error.description)
        }
    }

    func damaged(_ what: String) -> SavedCacheError { SavedCacheError(.damaged, "\(file.name): \(what)") }

    // MARK: Keys

    private func read<Value>(_ key: String, _ get: (String) throws -> Value?) throws -> Value? {
        do { return try get(CacheFile.prefix + key) } catch let error as GgmlError { throw damaged(error.description) }
    }

    func string(_ key: String) throws -> String {
        guard let value = try read(key, file.string) else { throw damaged("it has no \(key)") }
        return value
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws -> Int {
        guard let value = try read(key, file.integer) else { throw damaged("it has no \(key)") }
        guard range.contains(value) else { throw damaged("\(key) is \(value), not \(range)") }
        return value
    }

    func has(_ key: String) -> Bool { file.contains(CacheFile.prefix + key) }

    /// A list of whole numbers; missing means empty.
    func integers(_ key: String, in range: ClosedRange<Int>, count: Int? = nil) throws -> [Int] {
        let values = try read(key, file.integers) ?? []
        guard count == nil || values.count == count, values.allSatisfy(range.contains) else {
            throw damaged("\(key) has a number that is not \(range), or not \(count ?? values.count) of them")
        }
        return values
    }

    func tokens(_ key: String) throws -> [Token] {
        try integers(key, in: 0...model.description.vocabularySize - 1).map(Token.init)
    }

    /// A type of keys or values, of which the model's heads are whole blocks.
    func type(_ key: String) throws -> CacheType {
        let name = try string(key)
        guard let type = CacheType(named: name),
            model.description.layers.allSatisfy({ $0.headDimension % type.blockLength == 0 })
        else {
            throw damaged("\(key) is '\(name)', which keys and values cannot be")
        }
        return type
    }

    // MARK: Tensors

    /// The bytes of a tensor of that type and shape.
    func bytes(_ name: String, _ type: ElementType, _ shape: [Int]) throws -> UnsafeRawBufferPointer {
        var shape = shape
        while shape.count > 1, shape.last == 1 { shape.removeLast() }
        guard let info = file.tensors[name], info.type == type, info.shape == shape,
            info.offset + info.bytes <= mapping.bytes.count
        else { throw damaged("it has no tensor \(name) of type \(type) and shape \(shape)") }
        return UnsafeRawBufferPointer(rebasing: mapping.bytes[info.offset..<info.offset + info.bytes])
    }

    func floats(_ name: String, count: Int) throws -> [Float] {
        guard count > 0 else { return [] }
        let bytes = try bytes(name, .f32, [count])
        return (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
    }

    /// Frozen entries of all layers, nil for layers without any; keys and values stay in the file.
    ///
    /// - Parameter tokens: how many tokens were read, so that positions are less.
    func frozenLayers(_ keyType: CacheType, _ valueType: CacheType, tokens: Int) throws -> [FrozenLayer?] {
        let d = model.description
        var counts = try integers("entries", in: -1...tokens, count: d.allHeads)[...]
        return try d.layers.indices.map { index in
            let dimension = d.layers[index].headDimension
            let heads = Array(counts.prefix(d.layers[index].kvHeads))
            counts = counts.dropFirst(heads.count)
            if heads.allSatisfy({ $0 == -1 }) { return nil }
            guard heads.allSatisfy({ $0 >= 0 }) else { throw damaged("layer \(index) has heads without entries") }
            let layout = FrozenLayer.Layout(
                counts: heads, keyType: keyType, valueType: valueType, dimension: dimension)
            guard layout.entries > 0 else { return try FrozenLayer(layout, from: []) }
            let shape = [dimension, layout.entries]
            let keys = try bytes(CacheFile.frozen(index, "keys"), keyType.elementType, shape)
            let values = try bytes(CacheFile.frozen(index, "values"), valueType.elementType, shape)
            let positions = try bytes(CacheFile.frozen(index, "positions"), .f32, [layout.entries])
            // GGUF aligns tensors to 32 bytes at least.
            guard Int(bitPattern: positions.baseAddress!) % 4 == 0 else { throw damaged("its tensors are not aligned") }
            let layer = try FrozenLayer(
                layout, keys: keys.baseAddress!, values: values.baseAddress!,
                positions: positions.baseAddress!.assumingMemoryBound(to: Float.self), owner: mapping)
            try check(layer, below: tokens, index)
            return layer
        }
    }

    /// Positions of each head ascend and are whole numbers below the number of tokens.
    private func check(_ layer: FrozenLayer, below tokens: Int, _ index: Int) throws {
        for head in layer.layout.counts.indices {
            var last: Float = -1
            for row in Int(layer.starts[head])..<Int(layer.starts[head + 1]) {
                let position = layer.positions[row]
                guard position > last, position < Float(tokens), position == position.rounded() else {
                    throw damaged("a head of layer \(index) has the position \(position) after \(last)")
                }
                last = position
            }
        }
    }

    func streamingHeads() throws -> StreamingHeads? {
        guard has("streaming.recent") else { return nil }
        let d = model.description
        var flags = try integers("streaming.heads", in: 0...1, count: d.allHeads)[...]
        let limit = 1 << 24
        return StreamingHeads(
            heads: d.layers.map { layer in
                let own = Array(flags.prefix(layer.kvHeads))
                flags = flags.dropFirst(own.count)
                return own.indices.filter { own[$0] == 1 }
            },
            sinks: try integer("streaming.sinks", in: 0...limit), recent: try integer("streaming.recent", in: 1...limit)
        )
    }
}

extension DecoderDescription {
    /// KV heads of all layers together.
    var allHeads: Int { layers.reduce(0) { $0 + $1.kvHeads } }
}
