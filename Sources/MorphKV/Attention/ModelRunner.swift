internal import Ggml

/// Feeds tokens of one or more sequences through a model at once, so that the weights are read once for all of them.
///
/// The result for a sequence does not depend on which others take part.
final class ModelRunner {
    /// Whether steps are filled up with padding columns.
    enum ColumnRounding {
        /// They are not.
        case none
        /// So that a sequence's result does not depend on the others: ggml rounds the product of a matrix with one
        /// vector differently from that with several, and in its repacked layouts that with four at a time.
        case independent
    }

    private let model: Model
    private let device: Backend
    private let rounding: ColumnRounding
    private var fused: FusedBackend?
    private var graph: GraphBackend?

    init(_ model: Model, on device: Backend, rounding: ColumnRounding = .none) {
        self.model = model
        self.device = device
        self.rounding = rounding
    }

    /// Bytes of intermediate results held.
    var allocatedBytes: Int { (fused?.allocatedBytes ?? 0) + (graph?.allocatedBytes ?? 0) }

    /// Makes sure that caches like this one can be fed.
    ///
    /// - Throws: ``CacheError`` when the kernel that was asked for cannot run on this machine.
    func prepare(for cache: KVCache) throws { _ = try backend(isFused: cache.isFused) }

    /// Feeds tokens, one after the other within a sequence; all caches have room.
    ///
    /// - Parameter collect: receives the index of each feed and the logits after its last token.
    /// - Throws: `GgmlError` when memory is short or the device fails; sequences that were not collected are then as before,
    ///   except for tokens that a graph had fed already.
    func step(_ feeds: [Feed], collect: (Int, StepOutput) -> Void) throws {
        for isFused in [true, false] {
            let indices = feeds.indices.filter { feeds[$0].cache.isFused == isFused }
            guard !indices.isEmpty else { continue }
            try backend(isFused: isFused).step(indices.map { feeds[$0] }) { collect(indices[$0], $1) }
        }
        try device.check()
    }

    /// Feeds one token of one sequence and reads its logits; in the steady state no memory stays behind.
    func step(_ token: Token, _ cache: KVCache, into logits: inout [Float]) throws {
        try backend(isFused: cache.isFused).step([Feed(cache: cache, tokens: [token])]) { $1.read(into: &logits) }
        try device.check()
    }

    /// The columns of a step of so many tokens.
    func columns(_ count: Int) -> Int {
        switch rounding {
        case .none: count
        case .independent: model.weights.value.isPacked ? (count + 3) / 4 * 4 : max(count, 2)
        }
    }

    private func backend(isFused: Bool) throws -> any AttentionBackend {
        if isFused {
            if let fused { return fused }
            let made = try FusedBackend(model, on: device) { [unowned self] in columns($0) }
            fused = made
            return made
        }
        if let graph { return graph }
        let made = GraphBackend(model, on: device) { [unowned self] in columns($0) }
        graph = made
        return made
    }
}
