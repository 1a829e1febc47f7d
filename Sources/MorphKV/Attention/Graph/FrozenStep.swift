internal import Ggml

/// Attention to entries that never change, in a step of sequences that share them: what each query head makes of them alone, and
/// what that counts beside the slots.
final class FrozenStep {
    /// How far some KV head sees.
    struct Sight: Hashable {
        /// nil if it sees everything.
        let slidingWindow: Int?
        /// First positions that are seen even behind the window.
        let sinks: Int
    }

    private let graph: Graph
    /// `[headDim, group, kvHeads]`: the result of a softmax over these entries only.
    private let output: Tensor
    /// The logarithm of that softmax's denominator: `[1, group, kvHeads]`.
    private let normalizer: Tensor
    /// What of each query's softmax falls to the slots and to these entries: `[1, group, kvHeads]`.
    private var shares: (slots: Tensor, frozen: Tensor)?

    private init(_ graph: Graph, output: Tensor, normalizer: Tensor) {
        self.graph = graph
        self.output = output
        self.normalizer = normalizer
    }

    /// - Parameters:
    ///   - queries: as these entries see them, `[headDim, queryHeads, sequences]`.
    ///   - geometry: of one sequence.
    ///   - sights: of each KV head.
    ///   - scale: what attention scores are multiplied by before the softmax.
    convenience init(
        _ frozen: FrozenBuckets, _ queries: Tensor, _ geometry: LayerGeometry, sights: [Sight], scale: Float,
        _ inputs: StepInputs, in graph: Graph
    ) {
        let attention = BucketAttention(
            graph: graph, inputs: inputs, geometry: geometry, sights: sights, scale: scale, queries: queries,
            storesRows: frozen.storesRows)
        let parts = frozen.buckets.map(attention.attend)
        func joined(_ tensors: [Tensor]) -> Tensor {
            let all = tensors.dropFirst().reduce(tensors[0]) { graph.concat($0, $1, along: 2) }
            return attention.inOrder(all, of: frozen.buckets.flatMap(\.heads))
        }
        self.init(graph, output: joined(parts.map(\.output)), normalizer: joined(parts.map(\.normalizer)))
    }

    /// The same for some of the KV heads, of a single sequence.
    func restricted(to heads: [Int], _ geometry: LayerGeometry, _ inputs: StepInputs) -> FrozenStep {
        FrozenStep(
            graph, output: graph.heads(heads, of: output, layer: geometry.layer, inputs),
            normalizer: graph.heads(heads, of: normalizer, layer: geometry.layer, inputs))
    }

    /// Whether it is known what the entries count beside the slots.
    var isWeighed: Bool { shares != nil }

    /// The weights that slots have beside these entries.
    ///
    /// - Parameters:
    ///   - scores: of all slots, masked and scaled: `[slots, group, kvHeads]`.
    ///   - sinks: a term of each query head's softmax that no entry gets, `[queryHeads]` of one sequence.
    func weights(_ scores: Tensor, sinks: Tensor?) -> Tensor {
        let own = graph.softmax(scores)
        let shape = [1, scores[1], scores[2]]
        let ownNormalizer = graph.reshape(graph.logDenominators(scores: scores, weights: own), shape)
        var terms = graph.concat(ownNormalizer, normalizer, along: 0)
        if let sinks {
            let sequences = scores[1] * scores[2] / sinks.count
            let repeated = graph.repeated(graph.reshape(sinks, [1, sinks.count]), to: [1, sinks.count, sequences])
            terms = graph.concat(terms, graph.reshape(repeated, shape), along: 0)
        }
        let all = graph.softmax(terms)
        func share(_ index: Int) -> Tensor {
            graph.contiguous(graph.view(all, shape, strides: Array(all.strides[1...2]), offset: index * all.strides[0]))
        }
        let shares = (slots: share(0), frozen: share(1))
        self.shares = shares
        return graph.multiply(own, shares.slots)
    }

    /// A result over the slots with what the entries give: `[headDim, group, kvHeads]`.
    ///
    /// - Parameter isWeighed: whether the slots' weights were those of ``weights(_:sinks:)``, or a softmax over slots only.
    func adding(to result: Tensor, isWeighed: Bool) -> Tensor {
        let shares = shares!
        return graph.add(
            isWeighed ? result : graph.multiply(result, shares.slots), graph.multiply(output, shares.frozen))
    }
}

/// The same for one bucket after the other, as operations of a graph.
private struct BucketAttention {
    let graph: Graph
    let inputs: StepInputs
    let geometry: LayerGeometry
    let sights: [FrozenStep.Sight]
    let scale: Float
    let queries: Tensor
    let storesRows: Bool

    private var sequences: Int { queries[2] }
    private var group: Int { geometry.groupSize }
    private var dimension: Int { geometry.headDimension }
    /// Query heads of all sequences that share a KV head's entries.
    private var rows: Int { group * sequences }

    /// - Returns: `[headDim, rows, heads]` and `[1, rows, heads]`.
    func attend(_ bucket: FrozenBuckets.Bucket) -> (output: Tensor, normalizer: Tensor) {
        let queries = graph.scale(
            graph.heads(bucket.heads, of: byHead, layer: geometry.layer, inputs), by: scale)
        var scores = graph.matmul(bucket.keys, queries)
        let hidden = hidden(bucket)
        if let hidden { scores = graph.reshape(graph.add(split(scores), hidden), scores.dimensions(3)) }
        let weights = graph.softmax(scores)
        let normalizer = graph.reshape(
            graph.logDenominators(scores: scores, weights: weights), [1, rows, bucket.heads.count])
        let output = storesRows ? flash(bucket, queries, hidden) : graph.matmul(bucket.values, weights)
        return (output, normalizer)
    }

    /// `[headDim, group, kvHeads, sequences]` as `[headDim, rows, kvHeads]`.
    private var byHead: Tensor {
        let heads = geometry.kvHeads
        guard sequences > 1 else { return graph.reshape(queries, [dimension, group, heads]) }
        let all = graph.reshape(queries, [dimension, group, heads, sequences])
        return graph.reshape(graph.contiguous(graph.permute(all, [0, 1, 3, 2])), [dimension, rows, heads])
    }

    /// `[n, rows, heads]` of buckets behind each other as `[n, group, kvHeads of all sequences]`.
    func inOrder(_ values: Tensor, of heads: [Int]) -> Tensor {
        let places = heads.indices.sorted { heads[$0] < heads[$1] }
        let sorted = graph.heads(places, of: values, layer: geometry.layer, inputs)
        guard sequences > 1 else { return sorted }
        let all = graph.reshape(sorted, [values[0], group, sequences, heads.count])
        return graph.reshape(
            graph.contiguous(graph.permute(all, [0, 1, 3, 2])), [values[0], group, heads.count * sequences])
    }

    /// `[length, rows, heads]` as `[length, group, sequences, heads]`.
    private func split(_ scores: Tensor) -> Tensor { graph.reshape(scores, [scores[0], group, sequences, scores[2]]) }

    /// ``maskedScore`` for what is not seen: `[length, 1, 1 or sequences, heads]`; nil if everything is.
    private func hidden(_ bucket: FrozenBuckets.Bucket) -> Tensor? {
        let (length, heads) = (bucket.positions[0], bucket.heads.count)
        let padding =
            bucket.isPadded ? graph.step(graph.scale(bucket.positions, by: -1, plus: -0.5)) : nil
        let sights = bucket.heads.map { self.sights[$0] }
        guard sights.contains(where: { $0.slidingWindow != nil }) else {
            return padding.map { graph.reshape(graph.scale($0, by: maskedScore), [length, 1, 1, heads]) }
        }
        let first = inputs.tensor(
            "first position of \(sights)", .f32, [1, heads, sequences], layer: geometry.layer
        ) { sequence in
            sights.map { $0.slidingWindow.map { Float(sequence.position) - Float($0) + 0.5 } ?? -1 }
        }
        let positions = graph.repeated(bucket.positions, to: [length, heads, sequences])
        var behind = graph.step(graph.scale(graph.subtract(positions, first), by: -1))
        if sights.contains(where: { $0.sinks > 0 }) {
            let ends = inputs.constant(
                "sinks of \(sights)", [1, heads], layer: geometry.layer, sights.map { Float($0.sinks) - 0.5 })
            behind = graph.multiply(behind, graph.step(graph.subtract(positions, ends)))
        }
        if let padding { behind = graph.add(behind, padding) }
        let bySequence = sequences == 1 ? behind : graph.contiguous(graph.permute(behind, [0, 2, 1, 3]))
        return graph.reshape(graph.scale(bySequence, by: maskedScore), [length, 1, sequences, heads])
    }

    /// The result over values in rows, of a single sequence.
    ///
    /// - Parameter queries: scaled, `[headDim, group, heads]`.
    private func flash(_ bucket: FrozenBuckets.Bucket, _ queries: Tensor, _ hidden: Tensor?) -> Tensor {
        precondition(sequences == 1, "entries in blocks are attended to by one sequence at a time")
        let (length, heads) = (bucket.positions[0], bucket.heads.count)
        let mask = hidden.map { hidden in
            // A head may see nothing at all, so that what is hidden is finite as f16 too.
            let finite = graph.clamp(graph.reshape(hidden, [length, 1, heads]), to: -6e4...0)
            return graph.cast(
                graph.reshape(graph.repeated(finite, to: [length, group, heads]), [length, 1, group * heads]), to: .f16)
        }
        let result = graph.flashAttention(
            q: graph.reshape(queries, [dimension, 1, group * heads]), k: bucket.keys, v: bucket.values, mask: mask,
            scale: 1)
        return graph.reshape(result, [dimension, group, heads])
    }
}

extension Graph {
    /// Some heads of `[n, rows, heads]`.
    func heads(_ heads: [Int], of values: Tensor, layer: Int, _ inputs: StepInputs) -> Tensor {
        guard heads != Array(0..<values[2]) else { return values }
        let flat = reshape(values, [values[0] * values[1], values[2]])
        let indices = inputs.constant("heads \(heads)", [heads.count], layer: layer, heads.map(Int32.init))
        return reshape(rows(flat, at: indices), [values[0], values[1], heads.count])
    }
}

extension Tensor {
    /// The first extents.
    fileprivate func dimensions(_ count: Int) -> [Int] { Array(shape.prefix(count)) }
}
