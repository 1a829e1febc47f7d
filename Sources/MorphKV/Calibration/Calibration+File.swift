public import Foundation
internal import Ggml

/// Calibrations as files: GGUF, sealed by a checksum.
extension Calibration {
    static let architecture = "augur"
    private static let version = 1
    private static func key(_ name: String) -> String { "augur.\(name)" }

    /// Where the calibration of a model file lies if nobody says otherwise: `model.augur.gguf` beside `model.gguf`.
    public static func url(besideModel url: URL) -> URL {
        url.deletingPathExtension().appendingPathExtension("augur.gguf")
    }

    /// Reads a file.
    ///
    /// - Throws: ``CacheError`` of kind `calibration` if it is none, damaged or of a newer version; `GgmlError`
    ///   of kind `file` if it cannot be read.
    public convenience init(contentsOf url: URL) throws {
        let name = url.lastPathComponent
        do {
            let file = try GgufFile(contentsOf: url)
            guard try file.string("general.architecture") == Self.architecture else {
                throw CacheError(.calibration, "it is a GGUF file, but not a calibration")
            }
            let version = try file.integer(Self.key("version")) ?? 0
            guard version == Self.version else {
                throw CacheError(.calibration, "it has version \(version); version \(Self.version) can be read")
            }
            let mapping = try MappedFile(url)
            try file.checkSeal(mapping)
            let contents = CalibrationContents(file: file, mapping: mapping)
            let layers = try contents.layers()
            try self.init(
                model: file.string(Self.key("model")) ?? "", ages: file.integers(Self.key("ages")) ?? [],
                windows: file.integers(Self.key("windows")) ?? [],
                thresholds: file.floats(Self.key("thresholds")) ?? [],
                width: layers.width, encoded: layers.weights, type: layers.type, biases: layers.biases,
                counts: contents.floats("counts"),
                provenance: Provenance(
                    source: file.string(Self.key("source")) ?? "", texts: file.integer(Self.key("texts")) ?? 0,
                    tokens: file.integer(Self.key("tokens")) ?? 0, longest: file.integer(Self.key("longest")) ?? 0))
        } catch let error as CacheError where error.kind == .calibration {
            throw CacheError(.calibration, "\(name) is no calibration that can be used: \(error.description)")
        } catch let error as GgmlError where error.kind != .file {
            throw CacheError(.calibration, "\(name) is damaged: \(error.description)")
        }
    }

    /// Writes a file; it appears under its name only when it is whole.
    ///
    /// - Throws: `GgmlError` of kind `file` when the disk is full or the place cannot be written.
    public func write(to url: URL) throws {
        let writer = GgufWriter()
        writer.set("general.architecture", Self.architecture)
        for (name, value) in [
            ("version", Self.version), ("texts", provenance.texts), ("tokens", provenance.tokens),
            ("longest", provenance.longest),
        ] {
            writer.set(Self.key(name), value)
        }
        writer.set(Self.key("model"), model)
        writer.set(Self.key("source"), provenance.source)
        writer.set(Self.key("ages"), ages.map(Int32.init))
        writer.set(Self.key("windows"), windows.map(Int32.init))
        writer.set(Self.key("thresholds"), thresholds)
        var contents: [String: [UInt8]] = [:]
        func add(_ name: String, _ type: ElementType, _ shape: [Int], _ encoded: [UInt8]) {
            writer.addTensor(name, type, shape)
            contents[name] = encoded
        }
        for (layer, weights) in encodedWeights.enumerated() {
            add("layer.\(layer).weight", type, [width, biases[layer].count], weights)
            add("layer.\(layer).bias", .f32, [biases[layer].count], ElementType.f32.encoded(biases[layer]))
        }
        let shape = [kvHeads, layerCount, thresholds.count, windows.count]
        add("counts", .f32, shape, ElementType.f32.encoded(counts))
        try writer.write(to: url, isSealed: true) { name, write in try contents[name]!.withUnsafeBytes(write) }
    }
}

/// The tensors of a calibration's file.
private struct CalibrationContents {
    let file: GgufFile
    let mapping: MappedFile

    func layers() throws -> (type: ElementType, width: Int, weights: [[UInt8]], biases: [[Float]]) {
        guard let first = file.tensors["layer.0.weight"] else { throw CacheError(.calibration, "it has no layers") }
        var (weights, biases): ([[UInt8]], [[Float]]) = ([], [])
        while let tensor = file.tensors["layer.\(weights.count).weight"] {
            guard [.f32, .f16, .q8_0].contains(tensor.type), tensor.type == first.type else {
                throw CacheError(.calibration, "it has no numbers named \(tensor.name)")
            }
            biases.append(try floats("layer.\(weights.count).bias"))
            guard tensor.shape[0] == first.shape[0], tensor.shape.dropFirst().reduce(1, *) == biases.last!.count else {
                throw CacheError(.calibration, "the weights of layer \(weights.count) do not fit its biases")
            }
            weights.append(bytes(of: tensor))
        }
        return (first.type, first.shape[0], weights, biases)
    }

    /// The numbers of a tensor in f32.
    func floats(_ name: String) throws -> [Float] {
        guard let tensor = file.tensors[name], tensor.type == .f32 else {
            throw CacheError(.calibration, "it has no numbers named \(name)")
        }
        return tensor.type.decoded(bytes(of: tensor))
    }

    private func bytes(of tensor: GgufFile.TensorInfo) -> [UInt8] {
        Array(mapping.bytes[tensor.offset..<tensor.offset + tensor.bytes])
    }
}

extension ElementType {
    /// Numbers in this type: whole blocks.
    func encoded(_ values: [Float]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: bytes(values.count))
        bytes.withUnsafeMutableBytes { memory in
            values.withUnsafeBufferPointer { quantize($0, rowLength: values.count, into: memory.baseAddress!) }
        }
        return bytes
    }

    /// Numbers in this type, whole blocks, as 32-bit floats.
    func decoded(_ encoded: [UInt8]) -> [Float] {
        let count = encoded.count / bytes(blockLength) * blockLength
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            encoded.withUnsafeBytes {
                dequantize($0.baseAddress!, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            }
            initialized = count
        }
    }
}
