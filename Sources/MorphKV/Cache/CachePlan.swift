internal import Ggml

/// What a cache will cost, without allocating it.
public struct CachePlan: Sendable, Hashable {
    /// Bytes of each layer with attention, from the input: keys, values, positions, scores and rings.
    public let layerBytes: [Int]
    /// The rule that really applies in each layer, its sliding window taken into account.
    public let rules: [RetentionRule]

    /// Slots of each KV head: `[layer][kvHead]`; of a layer that grows, those for the length that was planned for.
    public let slots: [[Int]]

    /// Bytes that a prompt takes besides while it is read: one layer's keys and values, those of layers that later
    /// blocks attend to, and the hidden states of all its tokens. Intermediate results of 512 tokens come on top.
    public let promptBytes: Int

    /// Bytes of tables that the policy needs, once for all sequences of the model: a calibration's weights.
    public let sharedBytes: Int

    /// Bytes of what blocks without attention remember, however long the sequence is; 0 if there are none.
    public let recurrentBytes: Int

    /// Bytes of a whole sequence: all layers, and what blocks without attention remember.
    public var bytes: Int { layerBytes.reduce(recurrentBytes, +) }

    /// Plans a cache.
    ///
    /// - Parameters:
    ///   - model: whose layers and heads count.
    ///   - options: the policy and the types of what is stored.
    ///   - tokens: the sequence length for which a growing cache is planned, and the length of the prompt.
    /// - Throws: ``CacheError`` when the policy cannot be honoured for this model.
    public init(_ model: Model, _ options: CacheOptions, tokens: Int) throws {
        try self.init(model, options, tokens: tokens, following: nil)
    }

    /// Plans what follows a context, whose own bytes do not count.
    init(_ model: Model, _ options: CacheOptions, tokens: Int, following context: FrozenCache?) throws {
        let backend = try Backend(model.placement, threads: 1)
        let options = try options.prepared(for: model)
        let plans = try KVCache.plans(for: model.description, options, on: model.placement, following: context)
        rules = plans.map { $0[0].rule }
        slots = plans.map { parts in
            LayerPlan.perHead(parts.map { ($0, $0.slots ?? KVCache.rounded(tokens)) })
        }
        layerBytes = try plans.enumerated().map { index, parts in
            try parts.reduce(0) { sum, plan in
                let layer = try LayerCache(plan, slots: plan.slots ?? KVCache.rounded(tokens), scale: 1)
                layer.plan(on: backend.at(index))
                return sum + layer.plannedBytes
            }
        }
        let recurrent = try RecurrentState(model.description)
        recurrent?.plan(on: backend)
        recurrentBytes = recurrent?.plannedBytes ?? 0
        sharedBytes = plans.joined().map(\.sharedBytes).max() ?? 0
        let description = model.description
        var (held, read) = (0, tokens)
        if case .chunked(let part) = options.prefill {
            (held, read) = (plans.joined().map { $0.slots ?? tokens }.max() ?? 0, min(part, tokens))
        }
        // Layers take turns in the same memory; those that later blocks attend to have their own.
        let largest = description.layers.map(options.bytesPerToken).max() ?? 0
        promptBytes =
            (held + read) * largest * (1 + description.sharedLayers) + 4 * read * description.streamLength
    }
}
