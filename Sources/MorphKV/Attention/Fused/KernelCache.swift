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
        cache.key_type = layer.plan.keyType.kernelType
        cache.value_type = layer.plan.valueType.kernelType
        cache.dimension = Int32(geometry.headDimension)
        cache.group = Int32(geometry.groupSize)
        cache.heads = Int32(geometry.kvHeads)
        cache.model_heads = Int32(layer.frozen?.layout.counts.count ?? geometry.kvHeads)
        cache.slots = Int32(layer.slots)
        cache.keys = layer.keys.hostAddress
        cache.values = layer.values.hostAddress
        cache.scale = scale
        cache.sliding_window = Int32(geometry.slidingWindow ?? 0)
        cache.ring_sinks = -1
        if case .recent(_, let sinks) = layer.plan.rule { cache.ring_sinks = Int32(sinks) }
        if let scores = layer.scores { cache.describe(scores) }
        if let frozen = layer.frozen { cache.describe(frozen) }
        cache.origin = Int64(layer.origin)
        cache.visible_sinks = Int32(layer.plan.visibleSinks)
        if let heads = layer.plan.heads {
            headNumbers = .allocate(capacity: heads.count)
            headNumbers!.initialize(from: heads.map(Int32.init), count: heads.count)
            cache.head_numbers = UnsafePointer(headNumbers)
        }
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: cache)
        workspace = attention_workspace(cache.dimension, cache.group, Int64(layer.slots + layer.frozenMost))
    }

    deinit {
        pointer.deallocate()
        headNumbers?.deallocate()
    }
}

extension attention_cache {
    fileprivate mutating func describe(_ frozen: FrozenLayer) {
        frozen_keys = frozen.keys
        frozen_values = frozen.values
        frozen_positions = frozen.positions
        frozen_starts = frozen.starts
    }

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
