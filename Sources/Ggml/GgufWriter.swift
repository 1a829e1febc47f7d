internal import CLlama
public import Foundation

/// Writes a GGUF file: metadata first, then the tensors one after another, so that a file may be larger than memory.
///
/// The file appears under its name only when it is complete.
public final class GgufWriter {
    private let context: OpaquePointer
    private var planned: [(name: String, type: ElementType, shape: [Int])] = []

    /// Begins a file without keys and tensors.
    public init() { context = gguf_init_empty() }

    deinit { gguf_free(context) }

    /// Sets a text.
    public func set(_ key: String, _ value: String) { gguf_set_val_str(context, key, value) }
    /// Sets a whole number, stored with 32 bits.
    public func set(_ key: String, _ value: Int) { gguf_set_val_u32(context, key, UInt32(value)) }
    /// Sets the counts of a model in several files, with the types that libllama expects.
    package func setPart(_ number: Int, of count: Int, tensors: Int) {
        gguf_set_val_u16(context, "split.no", UInt16(number - 1))
        gguf_set_val_u16(context, "split.count", UInt16(count))
        gguf_set_val_i32(context, "split.tensors.count", Int32(tensors))
    }
    /// Sets a number.
    public func set(_ key: String, _ value: Float) { gguf_set_val_f32(context, key, value) }
    /// Sets a truth value.
    public func set(_ key: String, _ value: Bool) { gguf_set_val_bool(context, key, value) }
    /// Sets a list of truth values.
    public func set(_ key: String, _ values: [Bool]) {
        let bytes = values.map { Int8($0 ? 1 : 0) }
        gguf_set_arr_data(context, key, GGUF_TYPE_BOOL, bytes, bytes.count)
    }
    /// Sets a list of numbers.
    public func set(_ key: String, _ values: [Float]) {
        gguf_set_arr_data(context, key, GGUF_TYPE_FLOAT32, values, values.count)
    }
    /// Sets a list of whole numbers, stored with 32 bits.
    public func set(_ key: String, _ values: [Int32]) {
        gguf_set_arr_data(context, key, GGUF_TYPE_INT32, values, values.count)
    }
    /// Sets a list of texts.
    public func set(_ key: String, _ values: [String]) {
        let copies = values.map { strdup($0) }
        defer { copies.forEach { free($0) } }
        var pointers = copies.map { UnsafePointer($0) }
        gguf_set_arr_str(context, key, &pointers, values.count)
    }

    /// Takes over all keys of a file that begin with a prefix, with their values.
    package func copyKeys(of file: GgufFile, prefix: String) {
        let selected = gguf_init_empty()!
        defer { gguf_free(selected) }
        gguf_set_kv(selected, file.context)
        for key in file.keys where !key.hasPrefix(prefix) { gguf_remove_key(selected, key) }
        gguf_set_kv(context, selected)
    }

    /// Announces a tensor; shape with the fastest dimension first.
    public func addTensor(_ name: String, _ type: ElementType, _ shape: [Int]) {
        planned.append((name, type, shape))
    }

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - url: where; an existing file is replaced once the new one is complete.
    ///   - produce: called once per tensor, in the order announced; hands its bytes, in one or several
    ///     pieces, to the closure it receives.
    /// - Throws: ``GgmlError`` of kind `file` when the disk is full or the place cannot be written, and whatever
    ///   `produce` throws; no partial file stays behind.
    public func write(
        to url: URL,
        produce: (_ name: String, _ write: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        try write(to: url, isSealed: false, produce: produce)
    }

    /// The name of the last tensor of sealed files: a checksum of all bytes before it.
    package static let seal = "checksum"

    /// Writes the file.
    ///
    /// - Parameter isSealed: whether a checksum of everything is added as the last tensor; see ``GgufFile/checkSeal()``.
    package func write(
        to url: URL, isSealed: Bool,
        produce: (_ name: String, _ write: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        if isSealed { addTensor(Self.seal, .i32, [2]) }
        let arena = try Arena(tensors: planned.count)
        var sizes: [String: Int] = [:]
        for (name, type, shape) in planned {
            let tensor = arena.tensor(type, shape, name: name)
            gguf_add_tensor(context, tensor.pointer)
            sizes[name] = tensor.bytes
        }
        let output = try AtomicFile(url)
        try metadata().withUnsafeBytes { try output.write($0) }
        let alignment = gguf_get_alignment(context)
        for (name, _, _) in planned {
            let start = output.bytesWritten
            if isSealed, name == Self.seal {
                try withUnsafeBytes(of: output.checksum.value.littleEndian) { try output.write($0) }
            } else {
                try produce(name) { try output.write($0) }
            }
            let written = output.bytesWritten - start
            precondition(
                written == sizes[name], "tensor \(name) has \(sizes[name] ?? 0) bytes, \(written) were written")
            let padding = (alignment - written % alignment) % alignment
            try [UInt8](repeating: 0, count: padding).withUnsafeBytes { try output.write($0) }
        }
        try output.commit()
    }

    private func metadata() -> Data {
        var data = Data(count: gguf_get_meta_size(context))
        data.withUnsafeMutableBytes { gguf_get_meta_data(context, $0.baseAddress) }
        return data
    }
}
