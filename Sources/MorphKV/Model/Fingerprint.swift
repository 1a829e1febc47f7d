internal import Ggml
internal import Synchronization

extension Model {
    /// Tells models apart: 16 hexadecimal digits from the shape and from samples of every tensor.
    ///
    /// Caches and scores that were made with one model are of no use to another. Reading it touches a few pages of each
    /// tensor; it is computed once.
    public var fingerprint: String { lazyFingerprint.value }
}

/// Computes a model's fingerprint when it is first asked for.
final class LazyFingerprint: Sendable {
    private let description: DecoderDescription
    private let tensors: [GgufFile.TensorInfo]
    /// The file as it was when the model was read; weights elsewhere may have another layout.
    private let mapping: MappedFile
    private let computed = Mutex<String?>(nil)

    init(_ file: GgufFile, _ description: DecoderDescription) throws {
        self.description = description
        tensors = file.tensors.values.sorted { $0.name < $1.name }
        mapping = try file.map()
    }

    var value: String {
        computed.withLock { known in
            if let known { return known }
            let value = compute()
            known = value
            return value
        }
    }

    private func compute() -> String {
        let d = description
        var checksum = Checksum()
        let shape: [Int] = [
            d.vocabularySize, d.embeddingLength, d.layers[0].feedForward.length, d.queryHeads, d.kvHeads,
            d.headDimension, d.layers.count, d.layers[0].feedForward.activation == .gelu ? 1 : 0,
            d.queryKeyNorm?.rawValue ?? 0, d.hasPostNorms ? 1 : 0,
        ]
        let numbers: [Float] = [d.normEpsilon, d.embeddingScale, d.attentionScale, d.finalSoftcap ?? 0]
        checksum.add(d.architecture)
        checksum.add(d.ropeFactors ?? "")
        shape.withUnsafeBytes { checksum.add($0) }
        numbers.withUnsafeBytes { checksum.add($0) }
        for layer in d.layers { checksum.add(layer) }
        // What models have that came later; without it the fingerprint is what it always was.
        let later = [
            d.residualScale == 1 ? nil : "residual \(d.residualScale)",
            d.logitScale == 1 ? nil : "logits \(d.logitScale)", d.hasPreNorms ? nil : "no pre-norms",
            d.hasAttentionSinks ? "sinks" : nil, d.gatesAttention ? "gated attention" : nil,
            d.queryTemperature.map { "temperature \($0.scale) \($0.period)" },
            d.normalizesValues ? "normed values" : nil, d.perLayerLength > 0 ? "per layer \(d.perLayerLength)" : nil,
            d.alternatives.map { "streams \($0.count) \($0.active)" },
        ]
        for feature in later.compactMap(\.self) + d.recurrentBlocks.map(\.fingerprint)
            + d.queryBlocks.map({
                "queries \($0.block.block) of layer \($0.layer) \($0.block.feedForward.fingerprint ?? "")"
            })
        { checksum.add(feature) }
        for tensor in tensors { checksum.add(samplesOf: tensor, in: mapping) }
        return checksum.digits
    }
}

extension Checksum {
    fileprivate mutating func add(_ layer: DecoderDescription.Layer) {
        if let rope = layer.rope {
            let whole = [layer.slidingWindow ?? 0, Int(rope.pairing.rawValue), rope.dimensions, rope.originalContext]
            let parts = [
                rope.base, rope.scale, rope.extrapolation, rope.attentionFactor, rope.betaFast, rope.betaSlow,
            ]
            whole.withUnsafeBytes { add($0) }
            parts.withUnsafeBytes { add($0) }
        } else {
            add("unrotated \(layer.slidingWindow ?? 0)")
        }
        if let features = layer.feedForward.fingerprint { add(features) }
    }

    /// Adds the name, the type, the shape, and 16 samples of 64 bytes that are spread over a tensor.
    fileprivate mutating func add(samplesOf tensor: GgufFile.TensorInfo, in mapping: MappedFile) {
        add("\(tensor.name) \(tensor.type) \(tensor.shape)")
        let sample = min(64, tensor.bytes)
        for index in 0..<16 {
            let offset = tensor.offset + (tensor.bytes - sample) * index / 15
            add(UnsafeRawBufferPointer(rebasing: mapping.bytes[offset..<offset + sample]))
        }
    }
}
