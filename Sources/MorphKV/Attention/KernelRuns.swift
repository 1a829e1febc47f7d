internal import CAttention

/// What the kernel does in one step: for each layer, which tokens enter which caches.
final class KernelRuns {
    private let layers: Int
    private let columns: Int
    /// Sound: `layers` of them; the kernel reads them while a graph computes, we write them in between.
    private let batches: UnsafeMutablePointer<attention_batch>
    /// Sound: `layers * columns` of them, likewise.
    private let runs: UnsafeMutablePointer<attention_run>

    /// - Parameter columns: tokens per step, which is the most sequences that can take part.
    init(layers: Int, columns: Int) {
        self.layers = layers
        self.columns = columns
        batches = .allocate(capacity: layers)
        runs = .allocate(capacity: layers * columns)
    }

    deinit {
        batches.deallocate()
        runs.deallocate()
    }

    /// Where the kernel finds the work of one layer.
    func batch(_ layer: Int) -> UnsafeMutablePointer<attention_batch> { batches + layer }

    /// Describes a step.
    func describe(_ feeds: [Stepper.Feed], memory: KernelMemory) {
        for layer in 0..<layers {
            var column = 0
            for (index, feed) in feeds.enumerated() {
                let cache = feed.cache.layers[layer]
                memory.reserve(cache.kernel!.workspace)
                runs[layer * columns + index] = attention_run(
                    cache: cache.kernel!.pointer, column: Int32(column), columns: Int32(feed.tokens.count),
                    used: Int32(cache.used), position: Int64(feed.cache.seen),
                    since_hand_over: Int32(cache.queriesSinceHandOver))
                column += feed.tokens.count
            }
        }
        // The workspace may have moved while layers were looked at.
        for layer in 0..<layers { batches[layer] = memory.batch(runs + layer * columns, count: feeds.count) }
    }
}
