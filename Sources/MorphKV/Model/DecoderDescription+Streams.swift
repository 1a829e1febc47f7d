/// What a token's column of the residual stream consists of, and the blocks with attention by number.
extension DecoderDescription {
    /// Numbers of a token that blocks read and write: all residual streams.
    package var hiddenLength: Int { embeddingLength * (alternatives?.count ?? 1) }
    /// Numbers of a token that blocks get besides, for each block.
    var perLayerLengths: Int { perLayerLength * blockCount }
    /// Numbers of a token between two blocks: what they read and write, then what they get besides.
    package var streamLength: Int { hiddenLength + perLayerLengths }
    /// Numbers of a token that are looked up: its embedding, then what blocks get besides.
    var inputLength: Int { embeddingLength + perLayerLengths }

    /// Blocks with attention: layers, then those that attend to the layers' keys and values.
    var attentionBlockCount: Int { layers.count + queryBlocks.count }

    /// A block with attention: ``layers`` come first, then ``queryBlocks``.
    func attentionBlock(_ index: Int) -> Layer {
        index < layers.count ? layers[index] : queryBlocks[index - layers.count].block
    }

    /// The layer whose keys and values a block with attention attends to.
    func source(of index: Int) -> Int { index < layers.count ? index : queryBlocks[index - layers.count].layer }

    /// 0 for layers; for other blocks with attention their number among those that attend to the same layer's.
    func reader(_ index: Int) -> Int { index < layers.count ? 0 : queryBlocks[index - layers.count].reader }

    /// Blocks that attend to a layer's keys and values besides the layer itself.
    func readers(of layer: Int) -> Int { queryBlocks.count { $0.layer == layer } }

    /// Layers whose keys and values other blocks attend to.
    var sharedLayers: Int { layers.indices.count { readers(of: $0) > 0 } }

    /// Whether blocks change what is looked up before the first of them, or behind the last.
    var hasStreams: Bool { alternatives != nil || perLayerLength > 0 }

    /// An upper bound on the operations and views that streams take in a graph, per block.
    var streamOperations: Int { hasStreams || !queryBlocks.isEmpty || normalizesValues ? 96 : 0 }

    /// Turns the last layers into blocks that attend to the keys and values of the last layers before them.
    ///
    /// - Parameters:
    ///   - first: the first of them.
    ///   - key: where the file states that.
    /// - Throws: ``ModelError`` of kind `unsupported` if a layer is not like the one whose keys and values it would use.
    mutating func shareKeys(from first: Int, statedBy key: String) throws {
        guard first < layers.count else { return }
        guard first >= 2 else {
            throw ModelError(.metadata, "\(key) leaves \(first) blocks with keys and values; at least 2 are needed")
        }
        var readers: [Int: Int] = [:]
        for block in layers[first...] {
            let source = first - (block.slidingWindow == nil ? 1 : 2)
            let layer = layers[source]
            guard layer.slidingWindow == block.slidingWindow, layer.kvHeads == block.kvHeads,
                layer.headDimension == block.headDimension
            else {
                throw ModelError(
                    .unsupported,
                    "block \(block.block) would attend to the keys of block \(layer.block) (\(key)), which has another shape"
                )
            }
            readers[source, default: 0] += 1
            queryBlocks.append(QueryBlock(block: block, layer: source, reader: readers[source]!))
        }
        layers.removeSubrange(first...)
    }
}
