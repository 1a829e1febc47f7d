/// The shape of one layer's attention, as far as a policy may care.
public struct LayerGeometry: Sendable, Hashable {
    /// Index of the layer among those with attention, from the input.
    public let layer: Int
    /// Number of layers with attention.
    public let layerCount: Int
    /// Query heads per layer.
    public let queryHeads: Int
    /// KV heads per layer.
    public let kvHeads: Int
    /// Length of one key or value vector.
    public let headDimension: Int
    /// How far back the layer sees, the current token included; nil if it sees everything.
    public let slidingWindow: Int?

    /// Blocks that attend to the layer's keys and values besides the layer itself.
    public let readers: Int

    /// Query heads that share one KV head.
    public var groupSize: Int { queryHeads / kvHeads }

    /// Describes a layer.
    public init(
        layer: Int, layerCount: Int, queryHeads: Int, kvHeads: Int, headDimension: Int, slidingWindow: Int? = nil,
        readers: Int = 0
    ) {
        self.layer = layer
        self.layerCount = layerCount
        self.queryHeads = queryHeads
        self.kvHeads = kvHeads
        self.headDimension = headDimension
        self.slidingWindow = slidingWindow
        self.readers = readers
    }

    /// Whether some distances that the layer sees are not below a limit.
    func sees(beyond limit: Int) -> Bool { slidingWindow.map { $0 > limit } ?? true }

    /// The same layer with that many of its KV heads and their query heads.
    func restricted(to kvHeads: Int, slidingWindow: Int?) -> LayerGeometry {
        LayerGeometry(
            layer: layer, layerCount: layerCount, queryHeads: groupSize * kvHeads, kvHeads: kvHeads,
            headDimension: headDimension, slidingWindow: slidingWindow, readers: readers)
    }
}

extension DecoderDescription {
    /// The shape of a layer's attention.
    func geometry(of index: Int) -> LayerGeometry {
        let layer = layers[index]
        return LayerGeometry(
            layer: index, layerCount: layers.count, queryHeads: queryHeads, kvHeads: layer.kvHeads,
            headDimension: layer.headDimension, slidingWindow: layer.slidingWindow, readers: readers(of: index))
    }
}
