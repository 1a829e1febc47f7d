internal import Ggml
internal import Synchronization

extension Model {
    /// Tells models apart: 16 hexadecimal digits from the shape and from samples of every tensor.
    ///
    /// Caches and scores that were made with one model are of no use to another. Reading it touches a few pages of each
    /// tensor; it is computed once.
    public var fingerprint: String { fingerprints.value(of: self) }
}

/// Computes a model's fingerprint when it is first asked for.
final class LazyFingerprint: Sendable {
    private let computed = Mutex<String?>(nil)

    func value(of model: Model) -> String {
        computed.withLock { known in
            if let known { return known }
            let value = Self.compute(model)
            known = value
            return value
        }
    }

    private static func compute(_ model: Model) -> String {
        let d = model.description
        var checksum = Checksum()
        let shape: [Int] = [
            d.vocabularySize, d.embeddingLength, d.feedForwardLength, d.queryHeads, d.kvHeads, d.headDimension,
            d.layers.count, d.activation == .gelu ? 1 : 0, d.normalizesQueriesAndKeys ? 1 : 0, d.hasPostNorms ? 1 : 0,
        ]
        let numbers: [Float] = [d.normEpsilon, d.embeddingScale, d.attentionScale, d.finalSoftcap ?? 0]
        checksum.add(d.architecture)
        checksum.add(d.ropeFactors ?? "")
        shape.withUnsafeBytes { checksum.add($0) }
        numbers.withUnsafeBytes { checksum.add($0) }
        for layer in d.layers {
            let r = layer.rope
            let whole = [layer.slidingWindow ?? 0, Int(r.pairing.rawValue), r.dimensions, r.originalContext]
            let parts = [r.base, r.scale, r.extrapolation, r.attentionFactor, r.betaFast, r.betaSlow]
            whole.withUnsafeBytes { checksum.add($0) }
            parts.withUnsafeBytes { checksum.add($0) }
        }
        for tensor in model.weights.value.all { checksum.add(samplesOf: tensor) }
        return checksum.digits
    }
}

extension Checksum {
    /// Adds the type, the shape, and 16 pieces of 64 bytes that are spread over a tensor.
    fileprivate mutating func add(samplesOf tensor: Tensor) {
        add("\(tensor.type) \(tensor.shape)")
        let piece = min(64, tensor.bytes)
        var bytes = [UInt8](repeating: 0, count: piece)
        for index in 0..<16 {
            let offset = (tensor.bytes - piece) * index / 15
            bytes.withUnsafeMutableBytes { tensor.read(into: $0, at: offset) }
            bytes.withUnsafeBytes { add($0) }
        }
    }
}

extension Weights {
    /// All tensors, in a fixed order.
    fileprivate var all: [Tensor] {
        [tokenEmbeddings, outputNorm, output.weight] + [output.bias, ropeFactors].compactMap { $0 }
            + layers.flatMap(\.all)
    }
}

extension LayerWeights {
    fileprivate var all: [Tensor] {
        let projections = [queryKeyValue, query, key, value, attentionOutput, gate, up, down].compactMap { $0 }
        let norms = [attentionNorm, queryNorm, keyNorm, attentionPostNorm, feedForwardNorm, feedForwardPostNorm]
        return norms.compactMap { $0 } + projections.flatMap { [$0.weight] + ($0.bias.map { [$0] } ?? []) }
    }
}
