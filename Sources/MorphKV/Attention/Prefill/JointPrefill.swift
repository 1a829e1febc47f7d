internal import Ggml

/// Takes prompts of several sequences, or parts of them, through the model at once where graphs attend: products have the tokens
/// of all of them; each attends to what its own cache holds, which its own rule cuts.
///
/// For models with one hidden state per token, and caches of equal plans without frozen entries.
struct JointPrefill {
    /// One sequence's prompt.
    struct Member {
        let cache: KVCache
        let isFirstPrompt: Bool
        /// Where its tokens are in the stream.
        let columns: Range<Int>
    }

    let model: Model
    let backend: Backend
    let allocator: GraphAllocator
    /// In the order of their columns; at most ``Prefill/chunk`` tokens in all.
    let members: [Member]

    /// - Parameter stream: the scaled embeddings of all prompts on the first layer's device, `[embedding, tokens]`; overwritten.
    /// - Returns: the logits of each prompt's last token.
    func run(_ stream: Tensor) throws -> [[Float]] {
        let options = members[0].cache.options
        let entries = members.map { ($0.cache.layers.map(\.used).max() ?? 0) + $0.columns.count }
        let scratches = try PrefillScratch.all(
            model.description, options.keyType, options.valueType, entries: entries.reduce(0, +), queries: stream[1],
            isFused: false, on: backend)
        var (stream, place) = (stream, backend)
        var logits: [[Float]] = []
        for index in model.description.layers.indices {
            if backend.at(index) !== place {
                place = backend.at(index)
                stream = try stream.copy(on: place)
            }
            scratches[index].begin(model.description.layers[index])
            var passes = passes(index, scratches[index], entries, stream)
            for pass in passes { try pass.load() }
            let result = try JointRun(
                shares: zip(passes, members).map {
                    JointRun.Share(
                        run: $0.layerRun(index), columns: $1.columns, keepsQueries: $0.scorer.countedQueries > 0)
                }
            ).run()
            logits = result.logits
            for (member, features) in result.features.enumerated() {
                let tokens = 0..<passes[member].tokens
                passes[member].collect(features, of: tokens)
                try passes[member].score(tokens, of: index)
                try passes[member].finish()
            }
        }
        try backend.check()
        for member in members { member.cache.admitPrompt(member.columns.count) }
        return logits
    }

    /// Each sequence's share of a layer, with its part of the scratch memory.
    private func passes(_ index: Int, _ scratch: PrefillScratch, _ entries: [Int], _ stream: Tensor) -> [LayerPass] {
        members.indices.map { number in
            let member = members[number]
            let prefill = Prefill(
                model: model, cache: member.cache, backend: backend, allocator: allocator,
                isFirstPrompt: member.isFirstPrompt, foresight: nil)
            let own = scratch.part(behind: entries[..<number].reduce(0, +), queries: member.columns.lowerBound)
            return LayerPass(prefill, index: index, scratch: own, stream: stream, columns: member.columns.count)
        }
    }
}

/// Runs whole texts of several sequences through one layer, whose columns are beside each other.
private struct JointRun {
    /// One text.
    struct Share {
        let run: LayerRun
        let columns: Range<Int>
        /// Whether its queries are left in the scratch memory.
        let keepsQueries: Bool
    }

    let shares: [Share]

    private var whole: LayerRun { shares[0].run }
    private var count: Int { whole.stream[1] }

    /// - Returns: of each text, in the last layer the logits of its last token, and its features if they are wanted.
    func run() throws -> (logits: [[Float]], features: [[Float]]) {
        let (model, index) = (whole.model, whole.index)
        let description = model.description
        let operations = 128 + 24 * shares.count + description.attentionBlock(index).feedForward.operations
        let graph = try Graph(on: whole.backend, capacity: operations, allocator: whole.allocator)
        let block = BlockGraph(graph: graph, description: description, weights: model.weights.value)
        let positions = TokenPositions(count, description, in: graph)
        let projections = block.project(whole.columns(0..<count, in: graph), layer: index, positions: positions)
        let features = whole.features?(projections.input, graph)
        features.map(graph.output)
        var masks = [Tensor?](repeating: nil, count: shares.count)
        let attended = shares.indices.map { attend(shares[$0], projections, in: graph, mask: &masks[$0]) }
        let all = attended.dropFirst().reduce(attended[0]) { graph.concat($0, $1, along: 1) }
        let wanted = whole.isLast ? graph.input(.i32, [shares.count], name: "wanted") : nil
        let ending = finish(all, gate: projections.gate, wanted: wanted, in: block)
        try graph.allocate()
        for (share, mask) in zip(shares, masks) {
            let (seen, frame) = (share.run.seen, RotaryFrame(base: share.run.base))
            for (token, column) in share.columns.enumerated() { positions.set(seen + token, frame: frame, at: column) }
            let queries = output(share)
            mask?.write(share.run.mask.values(queries: seen + queries.lowerBound..<seen + queries.upperBound))
        }
        positions.write()
        wanted?.write(shares.map { Int32($0.columns.upperBound - 1) })
        try graph.compute()
        let result = (
            logits: rows(ending.logits, shares.map { _ in 1 }), features: rows(features, shares.map(\.columns.count))
        )
        if let experts = ending.experts { try experts.run(model) { whole.columns(0..<count, in: $0) } }
        return result
    }

    /// The tokens of a text that go on after attention.
    private func output(_ share: Share) -> Range<Int> {
        let tokens = share.columns.count
        return whole.isLast ? tokens - 1..<tokens : 0..<tokens
    }

    private func attend(
        _ share: Share, _ projections: BlockGraph.Projections, in graph: Graph, mask: inout Tensor?
    ) -> Tensor {
        let (tokens, first) = (share.columns.count, share.columns.lowerBound)
        func own(_ tensor: Tensor) -> Tensor {
            graph.view(
                tensor, [tensor[0], tensor[1], tokens], strides: Array(tensor.strides[1...2]),
                offset: first * tensor.strides[2])
        }
        share.run.keep(own(projections.keys!), own(projections.values!), of: 0..<tokens, in: graph)
        if share.keepsQueries {
            graph.schedule(graph.copy(own(projections.queries), to: share.run.scratch.queries(0..<tokens, in: graph)))
        }
        return share.run.attend(projections, from: -first, output: output(share), notes: false, in: graph, mask: &mask)
    }

    private func finish(_ attended: Tensor, gate: Tensor?, wanted: Tensor?, in block: BlockGraph) -> LayerRun.Ending {
        guard let wanted else { return whole.finish(attended, gate: gate, output: 0..<count, in: block) }
        let graph = block.graph
        let input = graph.rows(whole.columns(0..<count, in: graph), at: wanted)
        let result = block.finish(
            attended, gate: gate.map { graph.rows($0, at: wanted) }, input: input, layer: whole.index)
        let logits = block.logits(result)
        graph.output(logits)
        return LayerRun.Ending(logits: logits)
    }

    /// What belongs to each text, of a tensor whose last dimension counts tokens.
    private func rows(_ tensor: Tensor?, _ counts: [Int]) -> [[Float]] {
        guard let tensor else { return counts.map { _ in [] } }
        let values: [Float] = tensor.values()
        let width = values.count / counts.reduce(0, +)
        var first = 0
        return counts.map { count in
            defer { first += count * width }
            return Array(values[first..<first + count * width])
        }
    }
}
