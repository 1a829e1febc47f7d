internal import CAttention
internal import Ggml

/// A layer's slots as the fused kernel sees them.
final class KernelCache {
    /// Sound: it points into the layer's arena, which outlives it because the layer owns both.
    let pointer: UnsafeMutablePointer<attention_cache>
    /// Floats of working memory that one thread needs for it.
    let workspace: Int

    init(_ layer: LayerCache, scale: Float) {
        let geometry = layer.plan.geometry
        var cache = attention_cache()
        cache.key_type = layer.plan.keyType.kernelType
        cache.value_type = layer.plan.valueType.kernelType
        cache.dimension = Int32(geometry.headDimension)
        cache.group = Int32(geometry.groupSize)
        cache.heads = Int32(geometry.kvHeads)
        cache.slots = Int32(layer.slots)
        cache.keys = layer.keys.hostAddress
        cache.values = layer.values.hostAddress
        cache.scale = scale
        cache.sliding_window = Int32(geometry.slidingWindow ?? 0)
        cache.ring_sinks = -1
        if case .recent(_, let sinks) = layer.plan.rule { cache.ring_sinks = Int32(sinks) }
        if let scores = layer.scores { cache.describe(scores) }
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: cache)
        workspace = attention_workspace(cache.dimension, cache.group, Int64(layer.slots))
    }

    deinit { pointer.deallocate() }
}

extension attention_cache {
    fileprivate mutating func describe(_ scores: ScoreState) {
        let rule = scores.rule
        positions = scores.positions.hostFloats
        window = Int32(rule.window)
        sinks = Int32(rule.sinks)
        group_max = rule.groupReduction == .max ? 1 : 0
        shares_choice = rule.sharesChoice ? 1 : 0
        has_gaps = rule.isBursty ? 1 : 0
        switch scores.kind {
        case .windowSum(let state):
            self.rule = ATTENTION_WINDOW_SUM
            query_count = Int32(state.queryCount)
            fresh = state.fresh.hostFloats
            expiring = state.expiring.hostFloats
            queries = state.queries.hostFloats
            normalizers = state.normalizers.hostFloats
        case .cumulative(let score, let decay):
            self.rule = ATTENTION_CUMULATIVE
            self.decay = decay
            fresh = score.hostFloats
        case .profile(let state):
            self.rule = ATTENTION_PROFILE
            query_count = Int32(state.queryCount)
            votes = state.votes.hostFloats
            voters = Int32(state.votersPerHead)
            fusion_max = state.fusion == .max ? 1 : 0
            candidates_only = state.normalization == .candidates ? 1 : 0
        }
    }
}

extension ElementType {
    /// The kernel's name of the type; layers are planned with these types only.
    fileprivate var kernelType: attention_type {
        switch self {
        case .f32: ATTENTION_F32
        case .bf16: ATTENTION_BF16
        case .q8_0: ATTENTION_Q8_0
        default: ATTENTION_F16
        }
    }
}
