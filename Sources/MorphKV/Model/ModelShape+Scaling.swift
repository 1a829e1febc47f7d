// Smaller models of the same make.
extension ModelShape {
    /// The shape with fewer blocks, narrower ones or fewer tokens, for machines on which the whole model is too large.
    ///
    /// Blocks are the model's first ones, so that kinds of blocks take turns as in the model; blocks that attend to the keys of
    /// others stay the same share. Heads keep their lengths and experts their numbers; what is divided are the width of the
    /// residual stream and of networks, and the numbers of heads, of which one remains at least.
    ///
    /// - Parameters:
    ///   - layers: blocks that remain; nil for all.
    ///   - divisor: what widths are divided by.
    ///   - vocabulary: tokens; nil for as many as the model has.
    /// - Throws: ``ModelError`` of kind `unsupported` where that makes no model.
    package func scaled(layers: Int? = nil, by divisor: Int = 1, vocabulary: Int? = nil) throws -> ModelShape {
        var shape = self
        if let layers { try shape.shorten(to: layers) }
        guard divisor > 0 else { throw ModelError(.unsupported, "widths cannot be divided by \(divisor)") }
        if divisor > 1 { try shape.narrow(by: divisor) }
        if let vocabulary {
            guard (1...self.vocabulary).contains(vocabulary) else {
                throw ModelError(
                    .unsupported, "a vocabulary of \(vocabulary) tokens: 1 to \(self.vocabulary) are possible")
            }
            shape.vocabulary = vocabulary
        }
        return shape
    }

    private mutating func shorten(to count: Int) throws {
        guard (1...layers).contains(count) else {
            throw ModelError(.unsupported, "\(count) layers: the shape has 1 to \(layers)")
        }
        let whole = layers
        layers = count
        attentionBlocks?.formIntersection(0..<count)
        guard (0..<count).contains(where: { !isRecurrent($0) }) else {
            throw ModelError(.unsupported, "none of the first \(count) layers has attention")
        }
        try gemma = gemma.map { try shortened($0, from: whole) }
    }

    private func shortened(_ gemma: GemmaParts, from whole: Int) throws -> GemmaParts {
        var parts = gemma
        let local = gemma.localBlocks.map { Array($0.prefix(layers)) }
        parts.localBlocks = local
        guard let stated = gemma.sharedBlocks else { return parts }
        // Gemma 3n's files have 20 blocks with keys of their own, whatever they state.
        let shared = architecture == "gemma3n" ? max(0, layers - (whole - stated)) : stated * layers / whole
        parts.sharedBlocks = shared
        parts.lengths = gemma.lengths.map { lengths in
            (0..<layers).map { $0 < layers - shared ? lengths[0] : lengths[whole - 1] }
        }
        if let local, !local.suffix(shared).allSatisfy(local.prefix(layers - shared).contains) {
            throw ModelError(.unsupported, "with \(layers) layers some attend to keys that none of the first has")
        }
        return parts
    }

    private mutating func narrow(by divisor: Int) throws {
        func part(_ number: Int, _ name: String) throws -> Int {
            guard number % divisor == 0 else {
                throw ModelError(.unsupported, "\(name) \(number) cannot be divided by \(divisor)")
            }
            return number / divisor
        }
        embedding = try part(embedding, "a width of")
        feedForward = try part(feedForward, "a network of")
        queryHeads = try part(queryHeads, "query heads:")
        kvHeads = max(1, kvHeads / divisor)
        let (dense, shared, lengths) = (denseBlocks?.length, experts?.sharedLength, gemma?.lengths)
        if let dense { denseBlocks?.length = try part(dense, "a network of") }
        experts?.sharedLength = try shared.map { try part($0, "a shared network of") }
        gemma?.lengths = try lengths?.map { try part($0, "a network of") }
        if let heads = gemma?.globalKVHeads { gemma?.globalKVHeads = max(1, heads / divisor) }
        switch recurrence {
        case .gatedDeltaNet(var net):
            net.keyHeads = try part(net.keyHeads, "key heads:")
            net.valueHeads = try part(net.valueHeads, "value heads:")
            recurrence = .gatedDeltaNet(net)
        case .stateSpace(var space):
            space.heads = try part(space.heads, "heads:")
            recurrence = .stateSpace(space)
        case .shortConvolution, nil: break
        }
    }
}
