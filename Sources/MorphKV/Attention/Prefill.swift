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

    private var description: DecoderDescription { model.description }

    /// - Parameters:
    ///   - stream: the scaled embeddings of the prompt, `[embedding, tokens]`; overwritten.
    ///   - wantsAllLogits: whether to return the logits of every token or of the last one only.
    /// - Returns: logits, `vocabulary` values per token.
    func run(_ stream: Tensor, wantsAllLogits: Bool) throws -> [Float] {
        let tokens = stream[1]
        let held = cache.layers.map(\.used).max() ?? 0
        let scratch = try PrefillScratch(cache.plans[0], entries: held + tokens, on: backend)
        var logits: [Float] = []
        for index in cache.layers.indices {
            let pass = LayerPass(prefill: self, index: index, scratch: scratch, stream: stream)
            logits = try pass.run(isLast: index == cache.layers.count - 1, wantsAllLogits: wantsAllLogits)
        }
        cache.seen += tokens
        return logits
    }

    /// One layer's share of the work.
    private struct LayerPass {
        let prefill: Prefill
        let index: Int
        let scratch: PrefillScratch
        let stream: Tensor
        let layer: LayerCache
        /// The entries from before the prompt, per KV head.
        let old: [[(slot: Int, position: Int)]]

        init(prefill: Prefill, index: Int, scratch: PrefillScratch, stream: Tensor) {
            self.prefill = prefill
            self.index = index
            self.scratch = scratch
            self.stream = stream
            layer = prefill.cache.layers[index]
            old = layer.entries(seen: prefill.cache.seen)
        }

        private var tokens: Int { stream[1] }
        private var seen: Int { prefill.cache.seen }
        private var oldCount: Int { old[0].count }
        private var entries: Int { oldCount + tokens }
        private var description: DecoderDescription { prefill.description }
        private var geometry: LayerGeometry { layer.plan.geometry }

        func run(isLast: Bool, wantsAllLogits: Bool) throws -> [Float] {
            if oldCount > 0 { try layer.load(old, into: scratch, of: entries, prefill) }
            var logits: [Float] = []
            for start in stride(from: 0, to: tokens, by: Prefill.chunk) {
                let range = start..<min(start + Prefill.chunk, tokens)
                // After the last layer only the logits matter; before the last token that leaves keys and values.
                let output: Range<Int> =
                    !isLast || wantsAllLogits ? range : range.upperBound == tokens ? tokens - 1..<tokens : 0..<0
                logits += try runChunk(range, output: output, isLast: isLast)
            }
            try layer.select(entries: entries, newTokens: tokens, old: old, scratch: scratch, prefill)
            return logits
        }

        /// Runs tokens `range`; only tokens `output` get through attention and the feed-forward network.
        private func runChunk(_ range: Range<Int>, output: Range<Int>, isLast: Bool) throws -> [Float] {
            let graph = try Graph(on: prefill.backend, capacity: 128, allocator: prefill.allocator)
            let block = BlockGraph(graph: graph, description: description, weights: prefill.model.weights.value)
            let positions = graph.input(.i32, [range.count], name: "positions")
            let x = columns(range, in: graph)
            let p = block.project(x, layer: index, positions: positions)
            let target = oldCount + range.lowerBound..<oldCount + range.upperBound
            let byHead = { graph.permute($0, [0, 2, 1, 3]) }
            graph.schedule(graph.copy(byHead(p.keys), to: scratch.keys(target, of: entries, in: graph)))
            graph.schedule(graph.copy(byHead(p.values), to: scratch.values(target, of: entries, in: graph)))
            let ring = rememberQueries(p.queries, range, in: graph)

            var logits: Tensor?
            var mask: Tensor?
            if !output.isEmpty {
                let inChunk = output.lowerBound - range.lowerBound..<output.upperBound - range.lowerBound
                let attended = attend(p.queries, inChunk, output: output, in: graph, mask: &mask)
                let result = block.finish(attended, input: columns(output, in: graph), layer: index)
                if isLast { logits = block.logits(result) }
                logits.map(graph.output) ?? graph.schedule(graph.copy(result, to: columns(output, in: graph)))
            }
            try graph.allocate()
            positions.write(range.map { Int32(seen + $0) })
            mask?.write(maskBuilder.values(queries: seen + output.lowerBound..<seen + output.upperBound))
            ring?.rows.write(ring!.values)
            try graph.compute()
            return logits?.values() ?? []
        }

        private func columns(_ range: Range<Int>, in graph: Graph) -> Tensor {
            graph.view(
                stream, [stream[0], range.count], strides: [stream.strides[1]],
                offset: range.lowerBound * stream.strides[1])
        }

        private var maskBuilder: AttentionMask {
            AttentionMask(
                oldPositions: oldCount > 0 ? old.map { $0.map(\.position) } : [],
                newPositions: seen..<seen + tokens, slidingWindow: geometry.slidingWindow,
                queryHeads: geometry.queryHeads)
        }

        private func attend(
            _ queries: Tensor, _ inChunk: Range<Int>, output: Range<Int>, in graph: Graph, mask: inout Tensor?
        ) -> Tensor {
            let (d, heads) = (geometry.headDimension, geometry.queryHeads)
            let visible = 0..<oldCount + output.upperBound
            let stride = queries.strides
            let part = graph.view(
                queries, [d, heads, inChunk.count], strides: [stride[1], stride[2]],
                offset: inChunk.lowerBound * stride[2])
            let shape = maskBuilder.shape(queries: seen + output.lowerBound..<seen + output.upperBound)
            let maskInput = graph.input(.f16, shape, name: "mask")
            mask = maskInput
            let result = graph.flashAttention(
                q: graph.permute(part, [0, 2, 1, 3]), k: scratch.keys(visible, of: entries, in: graph),
                v: scratch.values(visible, of: entries, in: graph), mask: maskInput, scale: description.attentionScale)
            return graph.reshape(result, [d * heads, inChunk.count])
        }

        /// Puts those of the prompt's last W queries that are in this chunk into the ring.
        private func rememberQueries(
            _ queries: Tensor, _ range: Range<Int>, in graph: Graph
        ) -> (rows: Tensor, values: [Int32])? {
            guard let scores = layer.scores else { return nil }
            let first = max(range.lowerBound, tokens - scores.window)
            guard first < range.upperBound else { return nil }
            let rows = graph.input(.i32, [range.upperBound - first], name: "ringRows")
            let stride = queries.strides
            let flat = graph.view(
                queries, [geometry.headDimension * geometry.queryHeads, range.upperBound - first],
                strides: [stride[2]], offset: (first - range.lowerBound) * stride[2])
            graph.schedule(graph.setRows(of: scores.queries, to: flat, at: rows))
            return (rows, (first..<range.upperBound).map { Int32((seen + $0) % scores.window) })
        }
    }
}
