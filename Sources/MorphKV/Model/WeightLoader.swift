internal import Ggml

/// Finds, checks and places the tensors that a description calls for.
struct WeightLoader {
    private let file: GgufFile
    let description: DecoderDescription
    private let placement: DevicePlacement
    private let repacking: Repacking?
    /// One for each device, then one for tables of embeddings in memory of the host.
    private let arenas: [Arena]
    /// What lies in each of ``arenas``.
    private var placements: [[(tensor: Tensor, offset: Int)]]
    /// The index of the device that tensors are for.
    private var target = 0
    /// For each layout of ``repacking``.
    private let packedArenas: [Arena]
    private var packed: [(tensor: Tensor, offset: Int)] = []
    /// Whether one of them is in a layout of the device's own.
    private var hasDeviceLayout = false
    private var loaded: [String: Tensor] = [:]

    /// - Parameter repacks: whether matrices are copied into a faster layout where the device has one.
    init(_ file: GgufFile, _ description: DecoderDescription, on placement: DevicePlacement, repacks: Bool) throws {
        self.file = file
        self.description = description
        self.placement = placement
        repacking =
            repacks && !placement.isSpread ? Repacking(placement.devices[0], level: try KernelLevel.current()) : nil
        // One more than there are: a table of embeddings may also be the matrix of the output.
        let count = file.tensors.count + 1
        arenas = try (0...placement.devices.count).map { _ in try Arena(tensors: count) }
        placements = Array(repeating: [], count: arenas.count)
        packedArenas = try (0..<(repacking?.count ?? 0)).map { _ in try Arena(tensors: count) }
    }

    /// - Parameter places: whether the tensors get memory; they are only described otherwise.
    /// - Throws: ``ModelError`` naming the tensor that is missing or has a wrong shape, `GgmlError` when the device
    ///   has too little memory.
    consuming func load(places: Bool = true) throws -> Weights {
        let d = description
        let table = [d.embeddingLength, d.vocabularySize]
        let embeddings = try required("token_embd.weight", table, as: .table)
        let perLayer = try perLayerInputs()
        let streams = try streamWeights()
        let layers = try (0..<d.attentionBlockCount).map { index in
            target = placement.index(of: index)
            return try layer(index)
        }
        let recurrent = try d.recurrentBlocks.map { try recurrentBlock($0) }
        // The last layer's device.
        let output = try optional("output.weight", table, as: .matrix) ?? outputTable(table) ?? embeddings
        let norm = try vector("\(d.outputNorm).weight", d.embeddingLength)
        let bias = try optional("output.bias", [d.vocabularySize], as: .exact)
        let factors = try ropeFactors()
        let bytes = (placements.joined() + packed).reduce(0) { $0 + $1.tensor.bytes }
        let tableBytes = (output.isSame(as: embeddings) ? 0 : embeddings.bytes) + (perLayer?.table.bytes ?? 0)
        let networks = zip(
            layers.map(\.feedForward) + recurrent.map(\.feedForward),
            (0..<d.attentionBlockCount).map { d.attentionBlock($0).feedForward } + d.recurrentBlocks.map(\.feedForward))
        let restingBytes = networks.reduce(0) { $0 + $1.0.restingBytes($1.1) }
        let (isPacked, largestCopy) = (hasDeviceLayout, packed.map(\.tensor.bytes).max() ?? 0)
        if places { try place() }
        return Weights(
            tokenEmbeddings: embeddings, layers: layers, perLayerInputs: perLayer, streams: streams,
            recurrentBlocks: recurrent, outputNorm: norm,
            output: Projection(weight: output, bias: bias), ropeFactors: factors, bytes: bytes,
            bytesPerStep: bytes - tableBytes - restingBytes, isPacked: isPacked,
            largestCopy: largestCopy,
            mapped: arenas.indices.flatMap { isMapped($0) ? placements[$0].map(\.tensor) : [] })
    }

    /// A copy on every device: all layers read them.
    private mutating func ropeFactors() throws -> [Device: Tensor] {
        guard let name = description.ropeFactors,
            let rope = description.layers.lazy.filter(\.usesRopeFactors).compactMap(\.rope).first
        else { return [:] }
        var factors: [Device: Tensor] = [:]
        for (index, device) in placement.devices.enumerated() {
            target = index
            loaded[name] = nil
            factors[device] = try vector(name, rope.dimensions / 2)
        }
        return factors
    }

    private mutating func layer(_ index: Int) throws -> LayerWeights {
        let d = description
        let e = d.embeddingLength
        let block = d.attentionBlock(index)
        let queries = d.queryHeads * block.headDimension
        let keys = block.kvHeads * block.headDimension
        let name = { (part: String) in "blk.\(block.block).\(part)" }
        // Others' keys and values are used as they are.
        let ownsKeys = d.reader(index) == 0
        // With a gate the query projection is about twice as wide, and converters leave it by itself.
        let fused = d.gatesAttention ? nil : try optionalProjection(name("attn_qkv"), [e, queries + 2 * keys])
        let isSplit = fused == nil
        return LayerWeights(
            attentionNorm: d.hasPreNorms ? try vector(name("attn_norm.weight"), e) : nil,
            queryKeyValue: fused,
            query: isSplit ? try projection(name("attn_q"), [e, d.gatesAttention ? 2 * queries : queries]) : nil,
            key: isSplit && ownsKeys ? try projection(name("attn_k"), [e, keys]) : nil,
            value: isSplit && ownsKeys ? try valueProjection(name("attn_v"), [e, keys]) : nil,
            queryNorm: try headNorm(name("attn_q_norm.weight"), queries, block.headDimension),
            keyNorm: ownsKeys ? try headNorm(name("attn_k_norm.weight"), keys, block.headDimension) : nil,
            attentionSinks: d.hasAttentionSinks ? try vector(name("attn_sinks.weight"), d.queryHeads) : nil,
            attentionOutput: try projection(name("attn_output"), [queries, e]),
            attentionPostNorm: d.hasPostNorms ? try vector(name("post_attention_norm.weight"), e) : nil,
            feedForwardNorm: d.hasPreNorms ? try vector(name("\(d.feedForwardNorm).weight"), e) : nil,
            feedForward: try feedForward(block.feedForward, name),
            feedForwardPostNorm: d.hasPostNorms ? try vector(name("post_ffw_norm.weight"), e) : nil,
            perLayer: try perLayer(name), alternatives: try alternatives(name),
            scale: d.mayScaleBlocks ? try optional(name("layer_output_scale.weight"), [1], as: .exact) : nil)
    }

    private mutating func valueProjection(_ name: String, _ shape: [Int]) throws -> Projection? {
        try description.mayShareValues ? optionalProjection(name, shape) : projection(name, shape)
    }

    /// - Parameters:
    ///   - length: of all heads together.
    ///   - dimension: of one.
    private mutating func headNorm(_ name: String, _ length: Int, _ dimension: Int) throws -> Tensor? {
        guard let norm = description.queryKeyNorm else { return nil }
        return try vector(name, norm == .perHead ? dimension : length)
    }

    mutating func feedForward(
        _ feedForward: FeedForward, _ name: (String) -> String
    ) throws -> FeedForwardWeights {
        let width = description.embeddingLength
        return FeedForwardWeights(
            network: try network(feedForward.matrices(width: width), name),
            router: try feedForward.router(width: width).map { try projection(name($0.name), $0.shape) },
            norms: try parallelNorms(feedForward, name),
            choiceBias: try feedForward.choiceBias.map { try vector(name($0.name), $0.shape[0]) },
            shared: try feedForward.sharedMatrices(width: width).map { try network($0, name) },
            sharedGate: try feedForward.sharedGate(width: width).map { try projection(name($0.name), $0.shape) })
    }

    private mutating func network(
        _ matrices: FeedForward.Matrices, _ name: (String) -> String
    ) throws -> NetworkWeights {
        NetworkWeights(
            gate: try matrices.gate.map { try projection(name($0.name), $0.shape) },
            up: try projection(name(matrices.up.name), matrices.up.shape),
            down: try projection(name(matrices.down.name), matrices.down.shape))
    }

    // MARK: Finding and checking

    /// What a tensor is used for.
    enum Use {
        /// As it is: 32-bit floats.
        case exact
        /// Rows are read from it: a type that can be turned into floats.
        case table
        /// In products only, so that its layout does not matter.
        case matrix
    }

    /// - Parameter shape: `[in, out]`, or `[in, out, experts]`.
    mutating func projection(_ name: String, _ shape: [Int]) throws -> Projection {
        Projection(
            weight: try required("\(name).weight", shape, as: .matrix),
            bias: try optional("\(name).bias", Array(shape.dropFirst()), as: .exact))
    }

    private mutating func optionalProjection(_ name: String, _ shape: [Int]) throws -> Projection? {
        guard file.tensors["\(name).weight"] != nil else { return nil }
        return try projection(name, shape)
    }

    mutating func vector(_ name: String, _ length: Int) throws -> Tensor {
        try required(name, [length], as: .exact)
    }

    mutating func required(_ name: String, _ shape: [Int], as use: Use) throws -> Tensor {
        guard let tensor = try optional(name, shape, as: use) else {
            throw ModelError(.missingTensor, "\(file.name): tensor \(name) is missing")
        }
        return tensor
    }

    mutating func optional(_ name: String, _ shape: [Int], as use: Use) throws -> Tensor? {
        guard let info = file.tensors[name] else { return nil }
        guard info.shape == shape.withoutTrailingOnes else {
            throw ModelError(
                .wrongShape, "\(file.name): tensor \(name) has the shape \(info.shape), not \(shape)")
        }
        let isUsable = use == .exact ? info.type == .f32 : info.type.isDequantizable
        guard isUsable else {
            throw ModelError(
                .wrongShape, "\(file.name): tensor \(name) has the type \(info.type), which cannot be used")
        }
        if let tensor = loaded[name] { return tensor }
        if use == .matrix, let tensor = try pack(name, info.type, shape, offset: info.offset) {
            loaded[name] = tensor
            return tensor
        }
        let place = use == .table && !placement.usesHostMemory ? arenas.count - 1 : target
        let tensor = add(name, info.type, shape, offset: info.offset, to: place)
        loaded[name] = tensor
        return tensor
    }

    private mutating func add(
        _ name: String, _ type: ElementType, _ shape: [Int], offset: Int, to index: Int
    ) -> Tensor {
        let tensor = arenas[index].tensor(type, shape, name: name)
        placements[index].append((tensor, offset))
        return tensor
    }

    // MARK: Placing

    /// The table of embeddings once more, for the output's products: if that is faster than the table itself, or where the
    /// device cannot read the table, which lies in memory of the host.
    private mutating func outputTable(_ shape: [Int]) throws -> Tensor? {
        guard let info = file.tensors["token_embd.weight"] else { return nil }
        if let packed = try pack("output.weight", info.type, shape, offset: info.offset) { return packed }
        guard !isMapped(target) else { return nil }
        return add("output.weight", info.type, shape, offset: info.offset, to: target)
    }

    /// Whether what lies in one of ``arenas`` is the file itself.
    private func isMapped(_ index: Int) -> Bool {
        index == placement.devices.count || placement.devices[index].usesHostMemory
    }

    private mutating func pack(_ name: String, _ type: ElementType, _ shape: [Int], offset: Int) throws -> Tensor? {
        guard let layout = try repacking?.layout(for: type, shape) else { return nil }
        let tensor = packedArenas[layout].tensor(type, shape, name: name)
        packed.append((tensor, offset))
        hasDeviceLayout = hasDeviceLayout || repacking!.isOfDevice(layout)
        return tensor
    }

    private func place() throws {
        let mapping = try file.map()
        for (index, arena) in arenas.enumerated() where !placements[index].isEmpty {
            if isMapped(index) {
                try arena.map(mapping.bytes, ownedBy: mapping, on: .cpu(), placing: placements[index])
                continue
            }
            let backend = try Backend(placement.devices[index], threads: 1)
            try arena.allocate(on: backend)
            for (tensor, offset) in placements[index] {
                tensor.write(UnsafeRawBufferPointer(rebasing: mapping.bytes[offset..<offset + tensor.bytes]))
            }
            try backend.check()
        }
        for (layout, arena) in packedArenas.enumerated() { try repacking?.allocate(arena, layout: layout) }
        for (tensor, offset) in packed {
            let range = offset..<offset + tensor.bytes
            repacking!.write(UnsafeRawBufferPointer(rebasing: mapping.bytes[range]), to: tensor)
            mapping.forget(range)
        }
    }
}

extension FeedForwardWeights {
    /// Bytes that a step does not read: the experts that its token does not get.
    fileprivate func restingBytes(_ description: FeedForward) -> Int {
        guard let experts = description.experts else { return 0 }
        let all = [network.gate, network.up, network.down].reduce(0) { $0 + ($1?.weight.bytes ?? 0) }
        return all / experts.count * (experts.count - experts.used)
    }
}

extension [Int] {
    /// As files state shapes.
    fileprivate var withoutTrailingOnes: [Int] {
        var shape = self
        while shape.count > 1, shape.last == 1 { shape.removeLast() }
        return shape
    }
}
