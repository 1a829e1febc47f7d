internal import CAttention
internal import Ggml

/// A layer's slots as the fused kernel sees them.
final class KernelCache {
    /// Sound: it points into the layer's arena and frozen entries, which outlive it because the layer owns them too.
    let pointer: UnsafeMutablePointer<attention_cache>
    /// Floats of working memory that one thread needs for it.
    let workspace: Int
    /// Sound: allocated in `init`, never written to after it.
    private var headNumbers: UnsafeMutablePointer<Int32>?

    init(_ layer: LayerCache, scale: Float) {
        let geometry = layer.plan.geometry
        var cache = attention_cache()
        cache.slots.key_type = layer.plan.keyType.kernelType
        cache.slots.value_type = layer.plan.valueType.kernelType
        cache.slots.dimension = Int32(geometry.headDimension)
        cache.slots.group = Int32(geometry.groupSize)
        cache.slots.heads = Int32(geometry.kvHeads)
        cache.slots.model_heads = Int32(layer.frozen?.layout.counts.count ?? geometry.kvHeads)
        cache.slots.count = Int32(layer.slots)
        cache.slots.keys = layer.keys.hostAddress
        cache.slots.values = layer.values.hostAddress
        cache.slots.origin = Int64(layer.origin)
        cache.slots.ring_sinks = -1
        if case .recent(_, let sinks) = layer.plan.rule { cache.slots.ring_sinks = Int32(sinks) }
        cache.scale = scale
        cache.sliding_window = Int32(geometry.slidingWindow ?? 0)
        cache.visible_sinks = Int32(layer.plan.visibleSinks)
        if let scores = layer.scores { cache.describe(scores) }
        if let frozen = layer.frozen { cache.frozen = attention_frozen(frozen) }
        if let heads = layer.plan.heads {
            headNumbers = .allocate(capacity: heads.count)
            headNumbers!.initialize(from: heads.map(Int32.init), count: heads.count)
            cache.slots.head_numbers = UnsafePointer(headNumbers)
        }
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: cache)
        workspace = attention_workspace(
            cache.slots.dimension, cache.slots.group, Int64(layer.slots + layer.frozenMost))
    }

    deinit {
        pointer.deallocate()
        headNumbers?.deallocate()
    }
}

extension attention_frozen {
    fileprivate init(_ frozen: FrozenLayer) {
        self.init(
            keys: frozen.keys, values: frozen.values, positions: frozen.positions, starts: frozen.starts)
    }
}

extension attention_cache {
    fileprivate mutating func describe(_ scores: ScoreState) {
        let rule = scores.rule
        slots.positions = scores.positions.hostFloats
        slots.has_gaps = rule.isBursty
        score.window = Int32(rule.window)
        score.sinks = Int32(rule.sinks)
        score.group_reduction = rule.groupReduction == .max ? ATTENTION_MAX : ATTENTION_SUM
        score.shares_choice = rule.sharesChoice
        switch scores.kind {
        case .windowSum(let state):
            score.rule = ATTENTION_WINDOW_SUM
            score.window_sum = attention_window_sum(
                query_count: Int32(state.queryCount), fresh: state.fresh.hostFloats,
                expiring: state.expiring.hostFloats, queries: state.queries.hostFloats,
                normalizers: state.normalizers.hostFloats)
        case .cumulative(let sums, let decay):
            score.rule = ATTENTION_CUMULATIVE
            score.cumulative = attention_cumulative(decay: decay, scores: sums.hostFloats)
        case .profile(let state):
            score.rule = ATTENTION_PROFILE
            score.profile = attention_profile(
                query_count: Int32(state.queryCount), scores: state.votes.hostFloats,
                rows_per_head: Int32(state.votersPerHead),
                fusion: state.fusion == .max ? ATTENTION_MAX : ATTENTION_SUM,
                candidates_only: state.normalization == .candidates)
        }
    }
}
