internal import CLlama
public import Foundation

/// The metadata of a GGUF file, and where its tensors lie; the tensors themselves are not read.
///
/// GGUF is the format of llama.cpp: key-value metadata, then named tensors. It is read through
/// gguf.h, after a check of everything that gguf.h would answer by aborting the process. A model in several files
/// (`model-00001-of-00003.gguf`, ...) is read as if it were one: the first is named, the others lie beside it.
public final class GgufFile {
    /// A tensor as the file describes it.
    public struct TensorInfo: Sendable, Hashable {
        /// Its name, such as "blk.0.attn_q.weight".
        public let name: String
        /// The type of its elements.
        public let type: ElementType
        /// Its extents, fastest dimension first, without trailing ones.
        public let shape: [Int]
        /// Where its bytes begin, from the start of the file; of several files, as ``GgufFile/map()`` puts them.
        public let offset: Int
        /// How many bytes it has.
        public let bytes: Int
    }

    /// The file.
    public let url: URL
    /// The last part of its path, for messages.
    public var name: String { url.lastPathComponent }
    /// The files of a model that is in several; otherwise ``url`` alone.
    public internal(set) var urls: [URL]
    /// The size of the file in bytes; of several, as ``map()`` puts them.
    public internal(set) var fileBytes: Int
    /// All tensors by name.
    public internal(set) var tensors: [String: TensorInfo]
    let context: OpaquePointer

    /// Reads the metadata of a file, and of the files beside it that have the rest of its tensors.
    ///
    /// - Throws: ``GgmlError`` of kind `file` or `format` that says what is wrong with a file, including
    ///   tensors that lie outside it.
    public convenience init(contentsOf url: URL) throws {
        try self.init(single: url)
        try readOtherParts()
    }

    /// Reads the metadata of one file, whatever lies beside it.
    init(single url: URL) throws {
        Log.redirect()
        self.url = url
        urls = [url]
        fileBytes = try GgufHeaderCheck(url).run()
        let parameters = gguf_init_params(no_alloc: true, ctx: nil)
        guard let context = gguf_init_from_file(url.path, parameters) else {
            throw GgmlError(.format, "\(url.lastPathComponent) is not a well-formed GGUF file")
        }
        self.context = context
        do {
            tensors = try Self.readTensors(context, fileBytes: fileBytes, name: url.lastPathComponent)
        } catch {
            gguf_free(context)
            throw error
        }
    }

    deinit { gguf_free(context) }

    private static func readTensors(
        _ context: OpaquePointer, fileBytes: Int, name file: String
    ) throws -> [String: TensorInfo] {
        var tensors: [String: TensorInfo] = [:]
        let start = gguf_get_data_offset(context)
        for id in 0..<gguf_get_n_tensors(context) {
            let name = String(cString: gguf_get_tensor_name(context, id))
            let extents = (0..<4).map { Int(gguf_get_tensor_ne(context, id)[$0]) }
            let bytes = gguf_get_tensor_size(context, id)
            let (offset, overflow) = start.addingReportingOverflow(gguf_get_tensor_offset(context, id))
            guard !overflow, offset >= 0, bytes >= 0, offset <= fileBytes, bytes <= fileBytes - offset else {
                throw GgmlError(
                    .format,
                    "\(file) is truncated: tensor \(name) should end at byte \(offset &+ bytes), the file has \(fileBytes)"
                )
            }
            guard extents.allSatisfy({ $0 > 0 }) else {
                throw GgmlError(.format, "\(file): tensor \(name) has an empty dimension")
            }
            var shape = extents
            while shape.count > 1, shape.last == 1 { shape.removeLast() }
            let type = ElementType(gguf_get_tensor_type(context, id))
            tensors[name] = TensorInfo(name: name, type: type, shape: shape, offset: offset, bytes: bytes)
        }
        return tensors
    }
}

// MARK: - Metadata

extension GgufFile {
    /// All keys, in the order of the file.
    public var keys: [String] { (0..<gguf_get_n_kv(context)).map { String(cString: gguf_get_key(context, $0)) } }

    /// Whether the file has a key.
    public func contains(_ key: String) -> Bool { find(key) != nil }

    /// The whole number under a key, of any integer type; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else or does not fit.
    public func integer(_ key: String) throws -> Int? {
        guard let id = find(key) else { return nil }
        switch gguf_get_kv_type(context, id) {
        case GGUF_TYPE_UINT8: return Int(gguf_get_val_u8(context, id))
        case GGUF_TYPE_INT8: return Int(gguf_get_val_i8(context, id))
        case GGUF_TYPE_UINT16: return Int(gguf_get_val_u16(context, id))
        case GGUF_TYPE_INT16: return Int(gguf_get_val_i16(context, id))
        case GGUF_TYPE_UINT32: return Int(gguf_get_val_u32(context, id))
        case GGUF_TYPE_INT32: return Int(gguf_get_val_i32(context, id))
        case GGUF_TYPE_INT64: return Int(gguf_get_val_i64(context, id))
        case GGUF_TYPE_UINT64:
            guard let value = Int(exactly: gguf_get_val_u64(context, id)) else {
                throw mismatch(key, "a number below 2^63")
            }
            return value
        default: throw mismatch(key, "a whole number")
        }
    }

    /// The number under a key; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else.
    public func float(_ key: String) throws -> Float? {
        guard let id = find(key) else { return nil }
        switch gguf_get_kv_type(context, id) {
        case GGUF_TYPE_FLOAT32: return gguf_get_val_f32(context, id)
        case GGUF_TYPE_FLOAT64: return Float(gguf_get_val_f64(context, id))
        default: throw mismatch(key, "a floating-point number")
        }
    }

    /// The truth value under a key; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else.
    public func bool(_ key: String) throws -> Bool? {
        guard let id = find(key) else { return nil }
        guard gguf_get_kv_type(context, id) == GGUF_TYPE_BOOL else { throw mismatch(key, "true or false") }
        return gguf_get_val_bool(context, id)
    }

    /// The text under a key; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else.
    public func string(_ key: String) throws -> String? {
        guard let id = find(key) else { return nil }
        guard gguf_get_kv_type(context, id) == GGUF_TYPE_STRING else { throw mismatch(key, "a text") }
        return String(cString: gguf_get_val_str(context, id))
    }

    /// The whole numbers (8 or 32 bits) or truth values under a key; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else.
    public func integers(_ key: String) throws -> [Int]? {
        guard let id = find(key) else { return nil }
        guard gguf_get_kv_type(context, id) == GGUF_TYPE_ARRAY else { throw mismatch(key, "a list of numbers") }
        func read<T: BinaryInteger>(_: T.Type) -> [Int] {
            let count = gguf_get_arr_n(context, id)
            guard count > 0, let data = gguf_get_arr_data(context, id) else { return [] }
            return UnsafeBufferPointer(start: data.assumingMemoryBound(to: T.self), count: count).map { Int($0) }
        }
        switch gguf_get_arr_type(context, id) {
        case GGUF_TYPE_INT32: return read(Int32.self)
        case GGUF_TYPE_UINT32: return read(UInt32.self)
        case GGUF_TYPE_BOOL, GGUF_TYPE_INT8: return read(Int8.self)
        case GGUF_TYPE_UINT8: return read(UInt8.self)
        default: throw mismatch(key, "a list of whole numbers")
        }
    }

    /// How many texts the list under a key has; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else.
    public func stringCount(_ key: String) throws -> Int? {
        guard let id = find(key) else { return nil }
        guard gguf_get_kv_type(context, id) == GGUF_TYPE_ARRAY, gguf_get_arr_type(context, id) == GGUF_TYPE_STRING
        else { throw mismatch(key, "a list of texts") }
        return gguf_get_arr_n(context, id)
    }

    /// How many 32-bit floats the list under a key has; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else.
    public func floatCount(_ key: String) throws -> Int? {
        guard let id = find(key) else { return nil }
        guard gguf_get_kv_type(context, id) == GGUF_TYPE_ARRAY, gguf_get_arr_type(context, id) == GGUF_TYPE_FLOAT32
        else { throw mismatch(key, "a list of floating-point numbers") }
        return gguf_get_arr_n(context, id)
    }

    /// The 32-bit floats under a key; nil if the key is missing.
    ///
    /// - Throws: ``GgmlError`` of kind `metadata` if the value is something else.
    public func floats(_ key: String) throws -> [Float]? {
        guard let count = try floatCount(key), let id = find(key) else { return nil }
        guard count > 0, let data = gguf_get_arr_data(context, id) else { return [] }
        return Array(UnsafeBufferPointer(start: data.assumingMemoryBound(to: Float.self), count: count))
    }

    private func find(_ key: String) -> Int64? {
        let id = gguf_find_key(context, key)
        return id >= 0 ? id : nil
    }

    private func mismatch(_ key: String, _ expected: String) -> GgmlError {
        GgmlError(.metadata, "\(name): \(key) is not \(expected)")
    }
}

extension GgufFile {
    /// Calls `body` with the bytes of every text in the list under a key; not at all if there is no such list.
    package func forEachString(_ key: String, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let id = find(key), let count = try? stringCount(key) else { return }
        for index in 0..<count {
            let text = gguf_get_arr_str(context, id, index)!
            body(UnsafeRawBufferPointer(start: text, count: strlen(text)))
        }
    }
}

extension GgufFile {
    /// Compares the checksum at the end of a sealed file with the file's bytes.
    ///
    /// - Parameter mapping: the file.
    /// - Throws: ``GgmlError`` of kind `format` if the file is not sealed or was altered.
    package func checkSeal(_ mapping: MappedFile) throws {
        guard let seal = tensors[GgufWriter.seal], seal.bytes == 8, mapping.bytes.count == fileBytes,
            tensors.values.allSatisfy({ $0.offset <= seal.offset }),
            // What follows it is the padding that every tensor has.
            fileBytes == seal.offset + gguf_get_alignment(context),
            mapping.bytes[(seal.offset + 8)...].allSatisfy({ $0 == 0 })
        else { throw GgmlError(.format, "\(name) has no checksum; was it cut off?") }
        var checksum = Checksum()
        checksum.add(UnsafeRawBufferPointer(rebasing: mapping.bytes[..<seal.offset]))
        let stored = mapping.bytes.loadUnaligned(fromByteOffset: seal.offset, as: UInt64.self)
        guard UInt64(littleEndian: stored) == checksum.value else {
            throw GgmlError(.format, "\(name) was altered: its checksum is not that of its content")
        }
    }
}
