internal import CAttention

/// What the kernel does in one step: for each block with attention, which tokens enter or read which caches.
final class AttentionMetadata {
    private let description: DecoderDescription
    /// Blocks with attention.
    private let layers: Int
    /// Runs per layer: a sequence has several where a layer's heads differ.
    private let capacity: Int
    /// Sound: `layers` of them; the kernel reads them while a graph computes, we write them in between.
    private let batches: UnsafeMutablePointer<attention_batch>
    /// Sound: `layers * capacity` of them, likewise.
    private let runs: UnsafeMutablePointer<attention_run>
    /// Runs of each layer.
    private var counts: [Int]

    /// - Parameter columns: tokens per step, which is the most sequences that can take part.
    init(_ description: DecoderDescription, columns: Int) {
        self.description = description
        layers = description.attentionBlockCount
        capacity = description.kvHeads * columns
        batches = .allocate(capacity: layers)
        runs = .allocate(capacity: layers * capacity)
        counts = Array(repeating: 0, count: layers)
    }

    deinit {
        batches.deallocate()
        runs.deallocate()
    }

    /// Where the kernel finds the work of one block; see ``DecoderDescription/attentionBlock(_:)``.
    func batch(_ layer: Int) -> UnsafeMutablePointer<attention_batch> { batches + layer }

    /// Describes a step.
    func describe(_ feeds: ArraySlice<Feed>, in workspace: AttentionWorkspace) {
        for layer in 0..<layers {
            var (column, count) = (0, 0)
            let (source, reader) = (description.source(of: layer), description.reader(layer))
            for feed in feeds {
                for cache in feed.cache.parts[source] {
                    workspace.reserve(cache.kernelView!.workspace)
                    runs[layer * capacity + count] = attention_run(
                        cache: cache.kernelView!.pointer(reader), column: Int32(column),
                        columns: Int32(feed.tokens.count),
                        used: Int32(cache.used), position: Int64(feed.cache.seen),
                        // Cycles go on with the layer itself.
                        phase: reader > 0 ? 0 : Int32(cache.scores?.state.phase ?? 0),
                        prompt_end: Int64(cache.promptEnd),
                        pins: feed.cache.kernelPins.ranges, pin_count: feed.cache.kernelPins.count)
                    count += 1
                }
                column += feed.tokens.count
            }
            counts[layer] = count
        }
        // The workspace may have moved while layers were looked at.
        for layer in 0..<layers { batches[layer] = workspace.batch(runs + layer * capacity, count: counts[layer]) }
    }
}
