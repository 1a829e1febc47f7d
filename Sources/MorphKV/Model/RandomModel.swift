package import Foundation
package import Ggml

/// Writes GGUF files with seeded random weights of a given shape; larger than memory if need be.
///
/// Values come from a pool of normally distributed numbers that is converted to the file's type once; a row is a
/// piece of the pool from a random place. Speed does not depend on the values.
package struct RandomModel {
    private static let poolSize = 1 << 18

    package private(set) var shape: ModelShape
    let type: ElementType
    private let tokenizer: GgufFile?
    private var random: SplitMix64

    /// - Parameter tokenizer: a file whose tokenizer the model gets, and with it the size of its vocabulary; without
    ///   one the model reads and writes token ids only.
    /// - Throws: ``CacheError`` of kind `elementType` if values cannot be converted to the type; ``ModelError`` of kind
    ///   `tokenizer`, or `GgmlError`, if the file has no tokenizer that can be used.
    package init(_ shape: ModelShape, type: ElementType, seed: UInt64, tokenizer: GgufFile? = nil) throws {
        guard type.isQuantizable else {
            throw CacheError(.elementType, "weights of type \(type) cannot be made without calibration data")
        }
        self.shape = shape
        self.type = type
        self.tokenizer = tokenizer
        random = SplitMix64(seed: seed)
        if let tokenizer {
            self.shape.vocabulary = try tokenizer.stringCount("tokenizer.ggml.tokens") ?? 0
            try TokenizerCheck(tokenizer).run(vocabularySize: self.shape.vocabulary)
        }
    }

    /// - Throws: `GgmlError` of kind `file` when the disk is full or the place cannot be written.
    package mutating func write(to url: URL, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) throws {
        let writer = GgufWriter()
        setMetadata(writer)
        let plans = shape.tensors
        for plan in plans { writer.addTensor(plan.name, elementType(of: plan), plan.shape) }
        let planOf = Dictionary(uniqueKeysWithValues: plans.map { ($0.name, $0) })
        let normals = random.normals(Self.poolSize)
        var pools: [PoolKey: [UInt8]] = [:]
        var done = 0
        try writer.write(to: url) { name, write in
            let plan = planOf[name]!
            try writeRows(of: plan, normals, &pools, write)
            done += 1
            progress(done, plans.count)
        }
    }

    private struct PoolKey: Hashable {
        let mean: Float
        let deviation: Float
        let type: ElementType
    }

    /// Vectors are f32, as converters write them; rows that the type's blocks do not divide are q8_0 or f16.
    private func elementType(of plan: ModelShape.TensorPlan) -> ElementType {
        guard plan.shape.count > 1, !plan.isExact else { return .f32 }
        return [type, .q8_0, .f16].first { plan.shape[0] % $0.blockLength == 0 }!
    }

    private mutating func writeRows(
        of plan: ModelShape.TensorPlan, _ normals: [Float], _ pools: inout [PoolKey: [UInt8]],
        _ write: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let type = elementType(of: plan)
        let key = PoolKey(mean: plan.mean, deviation: plan.deviation, type: type)
        let pool = pools[key] ?? quantized(normals, key)
        pools[key] = pool
        let blocks = Self.poolSize / type.blockLength
        let rowBlocks = plan.shape[0] / type.blockLength
        let blockBytes = type.bytes(type.blockLength)
        precondition(rowBlocks < blocks, "a row fits into the pool")
        for _ in 0..<plan.shape.dropFirst().reduce(1, *) {
            let start = Int(random.next() % UInt64(blocks - rowBlocks)) * blockBytes
            try pool.withUnsafeBytes { bytes in
                try write(UnsafeRawBufferPointer(rebasing: bytes[start..<start + rowBlocks * blockBytes]))
            }
        }
    }

    private func quantized(_ normals: [Float], _ key: PoolKey) -> [UInt8] {
        let values = normals.map { key.mean + key.deviation * $0 }
        return [UInt8](unsafeUninitializedCapacity: key.type.bytes(values.count)) { memory, count in
            values.withUnsafeBufferPointer {
                key.type.quantize($0, rowLength: values.count, into: memory.baseAddress!)
            }
            count = memory.count
        }
    }

    private func set(_ net: RecurrentBlock.GatedDeltaNet, _ writer: GgufWriter) {
        let key = { (name: String) in "\(shape.architecture).\(name)" }
        writer.set(key("ssm.conv_kernel"), net.taps)
        writer.set(key("ssm.state_size"), net.size)
        writer.set(key("ssm.group_count"), net.keyHeads)
        writer.set(key("ssm.time_step_rank"), net.valueHeads)
        writer.set(key("ssm.inner_size"), net.valueHeads * net.size)
        writer.set(key("full_attention_interval"), shape.attentionInterval)
    }

    private func set(_ space: RecurrentBlock.StateSpace, _ writer: GgufWriter) {
        let key = { (name: String) in "\(shape.architecture).\(name)" }
        writer.set(key("ssm.conv_kernel"), space.taps)
        writer.set(key("ssm.state_size"), space.stateSize)
        writer.set(key("ssm.group_count"), space.groups)
        writer.set(key("ssm.time_step_rank"), space.heads)
        writer.set(key("ssm.inner_size"), space.inner)
    }

    private func set(_ gemma: ModelShape.GemmaParts, _ writer: GgufWriter) {
        let key = { (name: String) in "\(shape.architecture).\(name)" }
        writer.set(key("embedding_length_per_layer_input"), gemma.perLayer)
        if let shared = gemma.sharedBlocks { writer.set(key("attention.shared_kv_layers"), shared) }
        if let local = gemma.localBlocks {
            writer.set(key("attention.sliding_window_pattern"), local.map { $0 ? Int32(1) : 0 })
        }
        if let dimension = gemma.localDimension {
            for name in ["attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count_swa"] {
                writer.set(key(name), dimension)
            }
        }
        if let lengths = gemma.lengths { writer.set(key("feed_forward_length"), lengths.map(Int32.init)) }
        if let heads = shape.gemmaHeads(gemma) { writer.set(key("attention.head_count_kv"), heads) }
    }

    private func setNetworks(_ writer: GgufWriter) {
        let key = { (name: String) in "\(shape.architecture).\(name)" }
        // Gemma 4's experts stand beside a network of that width.
        let beside = shape.gemma == nil ? nil : shape.experts?.sharedLength
        if shape.gemma?.lengths == nil {
            writer.set(key("feed_forward_length"), shape.denseBlocks?.length ?? beside ?? shape.feedForward)
        }
        guard let experts = shape.experts else { return }
        writer.set(key("expert_count"), experts.count)
        writer.set(key("expert_used_count"), experts.used)
        writer.set(key("expert_feed_forward_length"), shape.feedForward)
        if experts.usesSigmoid { writer.set(key("expert_gating_func"), 2) }
        if let dense = shape.denseBlocks { writer.set(key("leading_dense_block_count"), dense.count) }
        if let shared = experts.sharedLength, beside == nil {
            writer.set(key("expert_shared_feed_forward_length"), shared)
        }
    }

    private func setMetadata(_ writer: GgufWriter) {
        let key = { (name: String) in "\(shape.architecture).\(name)" }
        writer.set("general.architecture", shape.architecture)
        writer.set("general.name", "random weights")
        writer.set(key("vocab_size"), shape.vocabulary)
        writer.set(key("context_length"), shape.context)
        writer.set(key("embedding_length"), shape.embedding)
        writer.set(key("block_count"), shape.layers)
        setNetworks(writer)
        writer.set(key("attention.head_count"), shape.queryHeads)
        if let heads = shape.headsPerBlock {
            writer.set(key("attention.head_count_kv"), heads)
        } else if shape.gemma?.globalKVHeads == nil {
            writer.set(key("attention.head_count_kv"), shape.kvHeads)
        }
        writer.set(key("attention.key_length"), shape.headDimension)
        writer.set(key("attention.value_length"), shape.headDimension)
        writer.set(key("attention.layer_norm_rms_epsilon"), shape.epsilon)
        writer.set(key("rope.dimension_count"), shape.ropeDimensions ?? shape.headDimension)
        writer.set(key("rope.freq_base"), shape.ropeBase)
        if let window = shape.slidingWindow { writer.set(key("attention.sliding_window"), window) }
        if let pattern = shape.slidingPattern { writer.set(key("attention.sliding_window_pattern"), pattern) }
        if let scaling = shape.ropeScaling { writer.set(key("rope.scaling.type"), scaling) }
        for (name, value) in shape.extraFloats { writer.set(key(name), value) }
        for (name, value) in shape.extraIntegers { writer.set(key(name), value) }
        for (name, value) in shape.extraFlags { writer.set(key(name), value) }
        for (name, value) in shape.extraLists { writer.set(key(name), value) }
        if let gemma = shape.gemma { set(gemma, writer) }
        switch shape.recurrence {
        case .gatedDeltaNet(let net): set(net, writer)
        case .stateSpace(let space): set(space, writer)
        case .shortConvolution(let taps): writer.set(key("shortconv.l_cache"), taps)
        case nil: break
        }
        if let tokenizer {
            writer.copyKeys(of: tokenizer, prefix: "tokenizer.")
        } else {
            writer.set("tokenizer.ggml.model", "no_vocab")
        }
    }
}
