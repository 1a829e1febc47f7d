internal import CAttention
internal import Ggml

/// A layer's cache as the fused kernel sees it.
final class KernelView {
    /// Sound: they point into the layer's arena and frozen entries, which outlive them because the layer owns them too. One for
    /// the layer itself, and one for each block that attends to its entries.
    private let pointers: UnsafeMutablePointer<attention_cache>
    /// Floats of workspace that one thread needs for it.
    let workspace: Int
    /// Sound: allocated in `init`, never written to after it.
    private var headNumbers: UnsafeMutablePointer<Int32>?

    init(_ layer: LayerCache, scale: Float) {
        var cache = attention_cache()
        cache.slots = attention_slots(layer)
        cache.scale = scale
        cache.sliding_window = Int32(layer.plan.geometry.slidingWindow ?? 0)
        cache.visible_sinks = Int32(layer.plan.visibleSinks)
        if let frozen = layer.frozen { cache.frozen = attention_frozen(frozen) }
        if let heads = layer.plan.heads {
            headNumbers = .allocate(capacity: heads.count)
            headNumbers!.initialize(from: heads.map(Int32.init), count: heads.count)
            cache.slots.head_numbers = UnsafePointer(headNumbers)
        }
        let readers = layer.plan.geometry.readers
        pointers = .allocate(capacity: 1 + readers)
        for reader in 0...readers {
            var own = cache
            own.reader = Int32(reader)
            layer.scores?.describe(in: &own, reader: reader)
            (pointers + reader).initialize(to: own)
        }
        workspace = attention_workspace(
            cache.slots.dimension, cache.slots.group, Int64(layer.slots + layer.frozenMost))
    }

    /// The layer as it sees itself, or as a block sees it that attends to its entries.
    ///
    /// - Parameter reader: 0, or the block's number.
    func pointer(_ reader: Int) -> UnsafeMutablePointer<attention_cache> { pointers + reader }

    deinit {
        pointers.deallocate()
        headNumbers?.deallocate()
    }
}

extension attention_slots {
    fileprivate init(_ layer: LayerCache) {
        let geometry = layer.plan.geometry
        self.init()
        key_type = layer.plan.keyType.kernelType
        value_type = layer.plan.valueType.kernelType
        dimension = Int32(geometry.headDimension)
        group = Int32(geometry.groupSize)
        heads = Int32(geometry.kvHeads)
        model_heads = Int32(layer.plan.modelHeads)
        count = Int32(layer.slots)
        keys = layer.keys.hostAddress
        values = layer.values.hostAddress
        layer.places?.describe(in: &self)
        origin = Int64(layer.origin)
        ring_sinks = -1
        if case .recent(_, let sinks) = layer.plan.rule { ring_sinks = Int32(sinks) }
    }
}

extension attention_frozen {
    fileprivate init(_ frozen: FrozenLayer) {
        self.init(keys: frozen.keys, values: frozen.values, positions: frozen.positions, starts: frozen.starts)
    }
}
