internal import CAttention
internal import Ggml

/// What a ``Scheduler`` will take with a model at most, known before the weights are read.
///
/// Caches are planned as they will be. Of intermediate results all tensors of a layer count that may be needed at a time, as if
/// none shared its memory with another, so what is allocated in the end is less.
package struct ServingPlan: Sendable, Hashable {
    /// Bytes of the weights.
    package let weights: Int
    /// Bytes of the largest matrix that is copied into another layout: meanwhile its pages of the file are there too.
    package let copying: Int
    /// Bytes of all caches.
    package let caches: Int
    /// Bytes of intermediate results.
    package let compute: Int
    /// Bytes of the model's calibration; 0 if it has none.
    package let calibration: Int
    /// Bytes of the tokenizer and of what describes graphs.
    package let tables: Int
    /// Bytes of what waiting and running requests hold at most.
    package let requests: Int
    /// Bytes that one sequence's cache takes.
    package let cachePerSequence: Int

    /// The largest sum that there is at a time.
    package var total: Int { weights + tables + max(copying, caches + compute + calibration + requests) }

    /// - Parameters:
    ///   - model: an outline is enough.
    ///   - headBytes: see ``ModelFile/headBytes()``.
    /// - Throws: ``ServingError`` or ``CacheError`` when the options make no sense for the model.
    package init(_ model: Model, _ options: ServingOptions, headBytes: Int) throws {
        let queue = RequestQueue(limit: options.queueLimit, parallel: options.parallel)
        let limits = try ServingLimits(model, options, ContextStore(model, options, queue: queue))
        let parts = ComputePlan(
            model.description, options, slots: limits.slotsPerHead, isFused: options.cache.isFused(on: model.placement))
        let count = options.parallel + options.spareCaches
        weights = model.weightBytes
        copying = model.weights.value.largestCopy
        cachePerSequence = limits.bytesPerSequence
        // Sequences that are fed together by graphs lie in memory of their own.
        let isFused = options.cache.isFused(on: model.placement)
        caches = (isFused ? 1 : 2) * count * limits.bytesPerSequence
        calibration = (try? model.calibration())?.bytes ?? 0
        let scratch = try ServingCaches.scratchBytes(model, options, slots: limits.slotsPerHead)
        compute = scratch + parts.prompt + parts.steps + parts.perThread * options.threads
        tables = headBytes * Self.tableFactor + parts.graphs + parts.logits
        requests = ServingCaches.requestBytes(options)
    }

    /// libllama's vocabulary takes that many times the bytes that a file has before its tensors: every text of it is a
    /// string of its own, in a list and in a map. Once more for the texts in order, which grammars read.
    private static let tableFactor = 9
}

/// Bytes of intermediate results, from a model's widths.
private struct ComputePlan {
    /// Of the largest part of a prompt.
    let prompt: Int
    /// Of steps, in batches of all sizes.
    let steps: Int
    /// Of each thread of the kernel.
    let perThread: Int
    /// Of the descriptions of graphs.
    let graphs: Int
    /// Of logits and what is chosen from.
    let logits: Int

    init(_ d: DecoderDescription, _ options: ServingOptions, slots: Int, isFused: Bool) {
        let fed = Engine.feedSizes.reduce(0, +)
        let tokens = max(min(options.promptChunk, Prefill.chunk), Engine.feedSizes[0])
        let width = Self.width(d)
        let entries = slots + options.promptChunk
        let weights = min(PromptBatch.largestBytes, 4 * tokens * entries * d.queryHeads)
        // The weights of attention, their mask, and what the device turns matrices' inputs into.
        prompt = 4 * tokens * width + 2 * weights + 4 * tokens * entries
        // Batches are filled up to a multiple of four; with a calibration there are graphs with features and without.
        // Graphs have as many as there are numbers of sequences, and weights of all of these.
        let sizes =
            isFused
            ? Array(stride(from: 4, through: (options.parallel + 3) / 4 * 4, by: 4)) + [1, 2]
            : Array(1...options.parallel + 3)
        let attended = isFused ? 0 : 8 * slots * d.queryHeads
        let columns = 2 * (sizes.reduce(0, +) + fed)
        steps = 4 * columns * (width + attended + 2 * d.vocabularySize)
        let group = d.layers.map { d.queryHeads / $0.kvHeads }.max() ?? 1
        perThread = 4 * attention_workspace(Int32(d.headDimension), Int32(group), Int64(slots + 1))
        let blocks = d.attentionBlockCount
        let nodes = 64 + (isFused ? 72 : 512) * (blocks + d.recurrentBlocks.count) + d.streamOperations * blocks
        graphs = 512 * nodes * 2 * (sizes.count + Engine.feedSizes.count)
        logits = (4 * (options.parallel + options.spareCaches) + 16 + 4) * d.vocabularySize
    }

    /// Numbers that a token has in a layer, everything counted.
    private static func width(_ d: DecoderDescription) -> Int {
        let attention = d.headDimension * (6 * d.queryHeads + 5 * d.kvHeads)
        let networks =
            (0..<d.attentionBlockCount).map { d.attentionBlock($0).feedForward } + d.recurrentBlocks.map(\.feedForward)
        let widest = networks.map { network in
            let experts = network.experts.map { 4 * $0.count + 3 * $0.used * d.embeddingLength } ?? 0
            return 5 * network.activeLength + experts
        }.max()
        let recurrent = d.recurrentBlocks.map { block in
            switch block.kind {
            case .gatedDeltaNet(let net): 6 * net.channels
            case .shortConvolution: 8 * d.embeddingLength
            case .stateSpace(let space): 10 * space.channels
            }
        }.max()
        let streams = d.hasStreams ? 8 * d.hiddenLength + 4 * d.perLayerLengths : 0
        return 8 * d.embeddingLength + streams + max(attention, recurrent ?? 0) + (widest ?? 0)
    }
}
