package import Ggml

/// A matrix product with an optional bias.
package struct Projection {
    package let weight: Tensor
    package let bias: Tensor?
}

/// The tensors of one block; `[in, out]` for matrices, fastest dimension first.
package struct LayerWeights {
    package let attentionNorm: Tensor
    /// Q, K and V in one product, or nil.
    package let queryKeyValue: Projection?
    package let query: Projection?
    package let key: Projection?
    package let value: Projection?
    package let queryNorm: Tensor?
    package let keyNorm: Tensor?
    package let attentionOutput: Projection
    package let attentionPostNorm: Tensor?
    package let feedForwardNorm: Tensor
    /// nil if ``up`` holds gate and up.
    package let gate: Projection?
    package let up: Projection
    package let down: Projection
    package let feedForwardPostNorm: Tensor?
}

/// All tensors of a decoder: on the CPU in mapped memory, or copied into a layout that it multiplies faster; in the
/// device's memory elsewhere.
package struct Weights {
    package let tokenEmbeddings: Tensor
    package let layers: [LayerWeights]
    package let outputNorm: Tensor
    package let output: Projection
    package let ropeFactors: Tensor?
    /// Bytes of all tensors together.
    package let bytes: Int
    /// Bytes that a step reads: all but a table of embeddings of which a row is read.
    package let bytesPerStep: Int
    /// Whether matrices lie in a layout of the device's own.
    package let isPacked: Bool
    /// The tensors that lie in the mapped file, whose pages come into memory when they are first read.
    package let mapped: [Tensor]
}

/// Finds, checks and places the tensors that a description calls for.
struct WeightLoader {
    private let file: GgufFile
    private let description: DecoderDescription
    private let device: Device
    private let repacking: Repacking?
    private let arena: Arena
    private var placements: [(tensor: Tensor, offset: Int)] = []
    /// For each layout of ``repacking``.
    private let packedArenas: [Arena]
    private var packed: [(tensor: Tensor, offset: Int)] = []
    private var loaded: [String: Tensor] = [:]

    /// - Parameter repacks: whether matrices are copied into a faster layout where the device has one.
    init(_ file: GgufFile, _ description: DecoderDescription, on device: Device, repacks: Bool) throws {
        self.file = file
        self.description = description
        self.device = device
        repacking = repacks ? Repacking(device) : nil
        // One more than there are: a table of embeddings may also be the matrix of the output.
        let count = file.tensors.count + 1
        arena = try Arena(tensors: count)
        packedArenas = try (0..<(repacking?.count ?? 0)).map { _ in try Arena(tensors: count) }
    }

    /// - Throws: ``ModelError`` naming the tensor that is missing or has a wrong shape, `GgmlError` when the device
    ///   has too little memory.
    consuming func load() throws -> Weights {
        let d = description
        let table = [d.embeddingLength, d.vocabularySize]
        let embeddings = try required("token_embd.weight", table)
        let output = try optional("output.weight", table, isMatrix: true) ?? packedOutput(table) ?? embeddings
        let layers = try d.layers.indices.map { try layer($0) }
        let norm = try vector("output_norm.weight", d.embeddingLength)
        let bias = try optional("output.bias", [d.vocabularySize])
        let factors = try d.ropeFactors.map { try vector($0, d.layers[0].rope.dimensions / 2) }
        let bytes = (placements + packed).reduce(0) { $0 + $1.tensor.bytes }
        let tableBytes = output.isSame(as: embeddings) ? 0 : embeddings.bytes
        let isPacked = !packed.isEmpty
        try place()
        return Weights(
            tokenEmbeddings: embeddings, layers: layers, outputNorm: norm,
            output: Projection(weight: output, bias: bias), ropeFactors: factors, bytes: bytes,
            bytesPerStep: bytes - tableBytes, isPacked: isPacked,
            mapped: device.usesHostMemory ? placements.map(\.tensor) : [])
    }

    private mutating func layer(_ index: Int) throws -> LayerWeights {
        let d = description
        let e = d.embeddingLength
        let queries = d.queryHeads * d.headDimension
        let keys = d.kvHeads * d.headDimension
        let name = { (part: String) in "blk.\(index).\(part)" }
        let fused = try optionalProjection(name("attn_qkv"), e, queries + 2 * keys)
        let isSplit = fused == nil
        return LayerWeights(
            attentionNorm: try vector(name("attn_norm.weight"), e),
            queryKeyValue: fused,
            query: isSplit ? try projection(name("attn_q"), e, queries) : nil,
            key: isSplit ? try projection(name("attn_k"), e, keys) : nil,
            value: isSplit ? try projection(name("attn_v"), e, keys) : nil,
            queryNorm: d.normalizesQueriesAndKeys ? try vector(name("attn_q_norm.weight"), d.headDimension) : nil,
            keyNorm: d.normalizesQueriesAndKeys ? try vector(name("attn_k_norm.weight"), d.headDimension) : nil,
            attentionOutput: try projection(name("attn_output"), queries, e),
            attentionPostNorm: d.hasPostNorms ? try vector(name("post_attention_norm.weight"), e) : nil,
            feedForwardNorm: try vector(name("ffn_norm.weight"), e),
            gate: d.fusesGateAndUp ? nil : try projection(name("ffn_gate"), e, d.feedForwardLength),
            up: try projection(name("ffn_up"), e, d.feedForwardLength * (d.fusesGateAndUp ? 2 : 1)),
            down: try projection(name("ffn_down"), d.feedForwardLength, e),
            feedForwardPostNorm: d.hasPostNorms ? try vector(name("post_ffw_norm.weight"), e) : nil)
    }

    // MARK: Finding and checking

    private mutating func projection(_ name: String, _ input: Int, _ output: Int) throws -> Projection {
        Projection(
            weight: try required("\(name).weight", [input, output], isMatrix: true),
            bias: try optional("\(name).bias", [output]))
    }

    private mutating func optionalProjection(_ name: String, _ input: Int, _ output: Int) throws -> Projection? {
        guard file.tensors["\(name).weight"] != nil else { return nil }
        return try projection(name, input, output)
    }

    private mutating func vector(_ name: String, _ length: Int) throws -> Tensor { try required(name, [length]) }

    private mutating func required(_ name: String, _ shape: [Int], isMatrix: Bool = false) throws -> Tensor {
        guard let tensor = try optional(name, shape, isMatrix: isMatrix) else {
            throw ModelError(.missingTensor, "\(file.name): tensor \(name) is missing")
        }
        return tensor
    }

    /// - Parameter isMatrix: whether it is used in products only, so that its layout does not matter.
    private mutating func optional(_ name: String, _ shape: [Int], isMatrix: Bool = false) throws -> Tensor? {
        guard let info = file.tensors[name] else { return nil }
        guard info.shape == shape else {
            throw ModelError(
                .wrongShape, "\(file.name): tensor \(name) has the shape \(info.shape), not \(shape)")
        }
        let isUsable = shape.count == 1 ? info.type == .f32 : info.type.isDequantizable
        guard isUsable else {
            throw ModelError(
                .wrongShape, "\(file.name): tensor \(name) has the type \(info.type), which cannot be used")
        }
        if let tensor = loaded[name] { return tensor }
        if isMatrix, let tensor = try pack(name, info.type, shape, offset: info.offset) {
            loaded[name] = tensor
            return tensor
        }
        let tensor = arena.tensor(info.type, shape, name: name)
        placements.append((tensor, info.offset))
        loaded[name] = tensor
        return tensor
    }

    // MARK: Placing

    /// The table of embeddings once more, for the output's products, if that is faster than the table itself.
    private mutating func packedOutput(_ shape: [Int]) throws -> Tensor? {
        guard let info = file.tensors["token_embd.weight"] else { return nil }
        return try pack("output.weight", info.type, shape, offset: info.offset)
    }

    private mutating func pack(_ name: String, _ type: ElementType, _ shape: [Int], offset: Int) throws -> Tensor? {
        guard let layout = try repacking?.layout(for: type, shape) else { return nil }
        let tensor = packedArenas[layout].tensor(type, shape, name: name)
        packed.append((tensor, offset))
        return tensor
    }

    private func place() throws {
        let mapping = try MappedFile(file.url)
        guard mapping.bytes.count == file.fileBytes else {
            throw GgmlError(.file, "\(file.name) changed while it was read")
        }
        if device.usesHostMemory {
            try arena.map(mapping.bytes, ownedBy: mapping, on: device, placing: placements)
        } else {
            try arena.allocate(on: Backend(device, threads: 1))
            for (tensor, offset) in placements {
                tensor.write(UnsafeRawBufferPointer(rebasing: mapping.bytes[offset..<offset + tensor.bytes]))
            }
        }
        for (layout, arena) in packedArenas.enumerated() { try repacking?.allocate(arena, layout: layout) }
        for (tensor, offset) in packed {
            let range = offset..<offset + tensor.bytes
            tensor.write(UnsafeRawBufferPointer(rebasing: mapping.bytes[range]))
            mapping.forget(range)
        }
    }
}
