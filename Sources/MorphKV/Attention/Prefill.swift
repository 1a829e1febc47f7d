internal import Ggml

/// Runs a prompt through the model layer by layer: the whole prompt attends in full to itself and to what the cache
/// holds, then the policy selects, before the next layer starts.
struct Prefill {
    /// Tokens whose intermediate results exist at a time.
    static let chunk = 512

    let model: Model
    let cache: KVCache
    let backend: Backend
    let allocator: GraphAllocator
    /// Whether this is (a part of) the sequence's first prompt, which rules that choose once look at.
    let isFirstPrompt: Bool

    /// - Parameters:
    ///   - stream: the scaled embeddings of the prompt, `[embedding, tokens]`; overwritten.
    ///   - wantsAllLogits: whether to return the logits of every token or of the last one only.
    /// - Returns: logits, `vocabulary` values per token.
    func run(_ stream: Tensor, wantsAllLogits: Bool) throws -> [Float] {
        let tokens = stream[1]
        let held = cache.layers.map(\.used).max() ?? 0
        let scratch = try PrefillScratch(
            cache.plans[0], entries: held + tokens, queries: min(tokens, Self.chunk), on: backend)
        var logits: [Float] = []
        for index in cache.layers.indices {
            var pass = LayerPass(self, index: index, scratch: scratch, stream: stream)
            logits = try pass.run(wantsAllLogits: wantsAllLogits)
        }
        cache.seen += tokens
        return logits
    }
}

/// One layer's share of a prompt.
private struct LayerPass {
    let prefill: Prefill
    let index: Int
    let scratch: PrefillScratch
    let stream: Tensor
    let layer: LayerCache
    /// The entries from before the prompt, per KV head.
    let old: [[(slot: Int, position: Int)]]
    let votes: PromptVotes
    var table: ScoreTable

    init(_ prefill: Prefill, index: Int, scratch: PrefillScratch, stream: Tensor) {
        self.prefill = prefill
        self.index = index
        self.scratch = scratch
        self.stream = stream
        layer = prefill.cache.layers[index]
        let seen = prefill.cache.seen
        let tokens = stream[1]
        let geometry = layer.plan.geometry
        old = layer.entries(seen: seen)
        let oldPositions = old.map { $0.map(\.position) }
        table = ScoreTable(positions: oldPositions.map { $0 + Array(seen..<seen + tokens) })
        let mask = AttentionMask(
            oldPositions: oldPositions[0].isEmpty ? [] : oldPositions, newPositions: seen..<seen + tokens,
            slidingWindow: geometry.slidingWindow, queryHeads: geometry.queryHeads)
        votes = PromptVotes(
            backend: prefill.backend, allocator: prefill.allocator, layer: layer,
            scale: prefill.model.description.attentionScale, mask: mask, before: seen, tokens: tokens,
            isFirstPrompt: prefill.isFirstPrompt)
    }

    private var tokens: Int { stream[1] }
    private var seen: Int { prefill.cache.seen }
    private var oldCount: Int { old[0].count }
    private var entries: Int { oldCount + tokens }
    private var geometry: LayerGeometry { layer.plan.geometry }
    private var isLast: Bool { index == prefill.cache.layers.count - 1 }

    mutating func run(wantsAllLogits: Bool) throws -> [Float] {
        if oldCount > 0 { try layer.load(old, into: scratch, of: entries, prefill) }
        var logits: [Float] = []
        for start in stride(from: 0, to: tokens, by: Prefill.chunk) {
            let range = start..<min(start + Prefill.chunk, tokens)
            // After the last layer only the logits matter; before the last token that leaves keys and values.
            let output: Range<Int> =
                !isLast || wantsAllLogits ? range : range.upperBound == tokens ? tokens - 1..<tokens : 0..<0
            logits += try runChunk(range, output: output)
            try vote(range)
        }
        if oldCount > 0, let scores = layer.scores {
            let (scratch, entries) = (scratch, entries)
            try votes.addEarlierVotes(
                scores.table(old, seen: seen), keys: { scratch.keys(0..<entries, of: entries, in: $0) }, to: &table)
        }
        try layer.select(table, seen: seen + tokens, scratch: scratch, prefill)
        return logits
    }

    /// Runs tokens `range`; only tokens `output` get through attention and the feed-forward network.
    private func runChunk(_ range: Range<Int>, output: Range<Int>) throws -> [Float] {
        let graph = try Graph(on: prefill.backend, capacity: 128, allocator: prefill.allocator)
        let block = BlockGraph(
            graph: graph, description: prefill.model.description, weights: prefill.model.weights.value)
        let positions = graph.input(.i32, [range.count], name: "positions")
        let p = block.project(columns(range, in: graph), layer: index, positions: positions)
        let target = oldCount + range.lowerBound..<oldCount + range.upperBound
        let byHead = { graph.permute($0, [0, 2, 1, 3]) }
        graph.schedule(graph.copy(byHead(p.keys), to: scratch.keys(target, of: entries, in: graph)))
        graph.schedule(graph.copy(byHead(p.values), to: scratch.values(target, of: entries, in: graph)))
        if votes.votingQueries > tokens - range.upperBound {
            graph.schedule(graph.copy(p.queries, to: scratch.queries(0..<range.count, in: graph)))
        }
        var logits: Tensor?
        var mask: Tensor?
        if !output.isEmpty {
            let attended = attend(p.queries, from: range.lowerBound, output: output, in: graph, mask: &mask)
            let result = block.finish(attended, input: columns(output, in: graph), layer: index)
            if isLast { logits = block.logits(result) }
            logits.map(graph.output) ?? graph.schedule(graph.copy(result, to: columns(output, in: graph)))
        }
        try graph.allocate()
        positions.write(range.map { Int32(seen + $0) })
        mask?.write(votes.mask.values(queries: seen + output.lowerBound..<seen + output.upperBound))
        try graph.compute()
        return logits?.values() ?? []
    }

    private func columns(_ range: Range<Int>, in graph: Graph) -> Tensor {
        graph.view(
            stream, [stream[0], range.count], strides: [stream.strides[1]],
            offset: range.lowerBound * stream.strides[1])
    }

    /// Attention of tokens `output` over everything up to them.
    private func attend(
        _ queries: Tensor, from first: Int, output: Range<Int>, in graph: Graph, mask: inout Tensor?
    ) -> Tensor {
        let (d, heads) = (geometry.headDimension, geometry.queryHeads)
        let visible = 0..<oldCount + output.upperBound
        let stride = queries.strides
        let part = graph.view(
            queries, [d, heads, output.count], strides: [stride[1], stride[2]],
            offset: (output.lowerBound - first) * stride[2])
        let shape = votes.mask.shape(queries: seen + output.lowerBound..<seen + output.upperBound)
        let maskInput = graph.input(.f16, shape, name: "mask")
        mask = maskInput
        let result = graph.flashAttention(
            q: graph.permute(part, [0, 2, 1, 3]), k: scratch.keys(visible, of: entries, in: graph),
            v: scratch.values(visible, of: entries, in: graph), mask: maskInput, scale: votes.scale)
        return graph.reshape(result, [d * heads, output.count])
    }

    /// Counts the votes of those of the prompt's voting queries that are in this chunk.
    private mutating func vote(_ range: Range<Int>) throws {
        let voting = range.clamped(to: tokens - votes.votingQueries..<tokens)
        guard !voting.isEmpty else { return }
        let (scratch, entries, visible) = (scratch, entries, oldCount + range.upperBound)
        let ballot = PromptVotes.Ballot(
            queries: { scratch.queries($1.lowerBound - range.lowerBound..<$1.upperBound - range.lowerBound, in: $0) },
            tokens: voting, keys: { scratch.keys(0..<visible, of: entries, in: $0) }, visible: visible)
        try votes.count(ballot, into: &table)
    }
}
