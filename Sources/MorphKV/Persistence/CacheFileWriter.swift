internal import Foundation
internal import Ggml

/// What saved caches have in common.
enum CacheFile {
    /// What a file holds.
    enum Kind: String {
        case context
        case session
    }

    /// The version that is written; older ones are read: since 2, sessions may hold token ids, since 3 pins, since 4 what
    /// blocks without attention remember.
    static let version = 4
    /// The prefix of all keys.
    static let prefix = "morphkv."
    static let architecture = "morphkv-cache"

    static func frozen(_ layer: Int, _ part: String) -> String { "frozen.\(layer).\(part)" }
    static func live(_ layer: Int, _ part: Int, _ tensor: String) -> String { "live.\(layer).\(part).\(tensor)" }
}

extension GgufFile {
    /// Whether it is a saved context or session.
    var isSavedCache: Bool { (try? string("general.architecture")) == CacheFile.architecture }
}

/// Collects what a saved cache consists of, then writes it.
final class CacheFileWriter {
    private let writer = GgufWriter()
    private var contents: [String: (_ write: (UnsafeRawBufferPointer) throws -> Void) throws -> Void] = [:]

    init(_ kind: CacheFile.Kind, model: Model) {
        writer.set("general.architecture", CacheFile.architecture)
        set("version", CacheFile.version)
        set("kind", kind.rawValue)
        set("model", model.fingerprint)
    }

    func set(_ key: String, _ value: Int) { writer.set(CacheFile.prefix + key, value) }
    func set(_ key: String, _ value: String) { writer.set(CacheFile.prefix + key, value) }

    /// Lists that are empty are not written.
    func set(_ key: String, _ values: [Int]) {
        if !values.isEmpty { writer.set(CacheFile.prefix + key, values.map(Int32.init)) }
    }

    /// Announces a tensor that lies in the host's memory as long as this object lives.
    func add(_ name: String, _ type: ElementType, _ shape: [Int], at address: UnsafeRawPointer) {
        let bytes = type.bytes(shape[0]) * shape.dropFirst().reduce(1, *)
        guard bytes > 0 else { return }
        writer.addTensor(name, type, shape)
        contents[name] = { write in try write(UnsafeRawBufferPointer(start: address, count: bytes)) }
    }

    /// Announces a tensor wherever it lies.
    func add(_ name: String, _ tensor: Tensor) {
        writer.addTensor(name, tensor.type, tensor.shape)
        contents[name] = { write in
            // In blocks, so that nothing is held twice.
            let block = 4 << 20
            var buffer = [UInt8](repeating: 0, count: min(block, tensor.bytes))
            for offset in stride(from: 0, to: tensor.bytes, by: block) {
                let count = min(block, tensor.bytes - offset)
                try buffer.withUnsafeMutableBytes { buffer in
                    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                    tensor.read(into: part, at: offset)
                    try write(UnsafeRawBufferPointer(part))
                }
            }
        }
    }

    /// Announces a tensor as files have it.
    func add(_ name: String, _ tensor: Tensor, _ layout: SavedLayout) {
        if case .same = layout { return add(name, tensor) }
        let saved = layout.saved(tensor)
        writer.addTensor(name, saved.type, saved.shape)
        contents[name] = { write in try layout.encode(tensor).withUnsafeBytes(write) }
    }

    /// Announces numbers; none are not written.
    func add(_ name: String, _ values: [Float]) {
        guard !values.isEmpty else { return }
        writer.addTensor(name, .f32, [values.count])
        contents[name] = { write in try values.withUnsafeBytes(write) }
    }

    /// Announces frozen entries, nil for layers without any.
    ///
    /// - Parameter description: the model's, which has the number of heads of each layer.
    func add(_ layers: [FrozenLayer?], streaming: StreamingHeads?, of description: DecoderDescription) {
        set(
            "entries",
            zip(layers, description.layers).flatMap { $0?.layout.counts ?? Array(repeating: -1, count: $1.kvHeads) })
        for (index, layer) in layers.enumerated() {
            guard let layer, layer.layout.entries > 0 else { continue }
            let layout = layer.layout
            let shape = [layout.dimension, layout.entries]
            add(CacheFile.frozen(index, "keys"), layout.keyType.elementType, shape, at: layer.keys)
            add(CacheFile.frozen(index, "values"), layout.valueType.elementType, shape, at: layer.values)
            add(CacheFile.frozen(index, "positions"), .f32, [layout.entries], at: layer.positions)
        }
        guard let streaming else { return }
        set("streaming.sinks", streaming.sinks)
        set("streaming.recent", streaming.recent)
        set(
            "streaming.heads",
            zip(streaming.heads, description.layers).flatMap { heads, layer in
                (0..<layer.kvHeads).map { heads.contains($0) ? 1 : 0 }
            }
        )
    }

    /// Writes the file; it appears under its name only when it is whole and on disk.
    ///
    /// - Throws: `GgmlError` of kind `file` when the disk is full or the place cannot be written; no partial file stays
    ///   behind, and a file that was there before stays.
    ///
    /// - Parameter check: throws if what was read of a device is not true.
    func write(to url: URL, check: () throws -> Void = {}) throws {
        try writer.write(to: url, isSealed: true) { name, write in
            try contents[name]!(write)
            try check()
        }
    }
}
