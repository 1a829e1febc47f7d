internal import Ggml
internal import Synchronization

/// A text while it becomes a context: read and scored by the computing thread, then chosen from, copied and written by
/// another, so that answers never wait for that.
final class ContextJob: Sendable {
    private struct State {
        var isCancelled = false
        var began: ContinuousClock.Instant?
        var graphs = 0
        /// What was read and scored; it is taken when it is written.
        var whole: CompressedContext?
    }

    /// See ``ContextStore``.
    let id: Int
    let text: ContextText
    let beginning: ContextBeginning?
    /// Graphs that reading and scoring take, about.
    private let allGraphs: Int
    private let state = Mutex(State())

    init(_ id: Int, _ text: ContextText, _ beginning: ContextBeginning?, graphs: Int) {
        (self.id, self.text, self.beginning, allGraphs) = (id, text, beginning, max(1, graphs))
    }

    /// Ends it as soon as the present graph is computed, or what was written is there.
    func cancel() { state.withLock { $0.isCancelled = true } }

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// How far it is.
    var progress: ServedContext.State {
        state.withLock { state in
            guard let began = state.began else { return .waiting }
            // Choosing and writing come after all graphs.
            let fraction = min(0.99, Double(state.graphs) / Double(allGraphs))
            return .compressing(fraction: fraction, seconds: (ContinuousClock.now - began) / .seconds(1))
        }
    }

    /// Reads and scores the text.
    ///
    /// - Parameters:
    ///   - options: how keys and values are stored.
    ///   - pause: called between graphs; what it throws ends this.
    /// - Throws: `GgmlError` or ``CacheError``, and `CancellationError` when it was cancelled.
    func read(_ model: Model, _ options: CacheOptions, threads: Int, pause: @escaping () throws -> Void) throws {
        state.withLock { $0.began = .now }
        let backend = try Backend(model.placement, threads: threads)
        backend.pause = { [self] in
            let isCancelled = state.withLock { state in
                state.graphs += 1
                return state.isCancelled
            }
            if isCancelled { throw CancellationError() }
            try pause()
        }
        let source = text.compression.source
        let context = try CompressedContext(
            reading: text.document, after: text.system, model: model, options: options.with(FullPolicy()),
            scoredBy: source, on: backend)
        try context.knownScores(source, threads: threads, on: backend) { _ in }
        state.withLock { $0.whole = context }
    }

    /// What was read and scored, once.
    func takeWhole() -> CompressedContext? {
        state.withLock { state in
            defer { state.whole = nil }
            return state.whole
        }
    }
}

/// By what a message is found to begin with a context's text.
struct ContextBeginning: Sendable, Hashable {
    /// Bytes of the text as UTF-8, and their checksum.
    let bytes: Int
    let sum: UInt64
    /// The checksum of all tokens.
    let tokens: UInt64

    init(_ text: String, tokens: [Token]) {
        bytes = text.utf8.count
        sum = Self.sums(of: Array(text.utf8), at: [bytes])[0]
        self.tokens = Self.sum(of: tokens)
    }

    /// That of a context which was read from a file; nil if its tokens are not those of their text.
    init?(_ context: CompressedContext) {
        guard let tokenizer = context.model.tokenizer else { return nil }
        let document = Array(context.tokens.dropFirst(context.systemTokens))
        let text = tokenizer.decode(document)
        // Some tokenizers put a space before every text.
        let texts = [text] + (text.hasPrefix(" ") ? [String(text.dropFirst())] : [])
        guard let same = texts.first(where: { tokenizer.encode($0, addSpecial: false) == document }) else { return nil }
        self.init(same, tokens: context.tokens)
    }

    static func sum(of tokens: [Token]) -> UInt64 {
        var sum = Checksum()
        tokens.withUnsafeBytes { sum.add($0) }
        return sum.value
    }

    /// The checksums of a text's beginnings, in one pass.
    ///
    /// - Parameter lengths: ascending, the last at most the length of the text.
    static func sums(of text: [UInt8], at lengths: [Int]) -> [UInt64] {
        var (sum, done) = (Checksum(), 0)
        return lengths.map { length in
            text.withUnsafeBytes { sum.add(UnsafeRawBufferPointer(rebasing: $0[done..<length])) }
            done = length
            return sum.value
        }
    }
}
