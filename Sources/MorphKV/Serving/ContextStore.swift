internal import Foundation
internal import Synchronization

/// The contexts of a scheduler by name: those that it was given at the start, and those of its folder, which come and go.
///
/// Those of the folder are in memory only as far as they fit into its bytes: ``ContextStore/bring(_:)`` maps one in and the
/// ones that nobody has used for longest out. What is in use stays.
final class ContextStore: Sendable {
    struct Entry {
        let id: Int
        let name: String
        let tokens: Int
        var ratio: Double
        var bytes = 0
        /// Where it is kept; nil for those that were given at the start.
        var file: URL?
        /// Why it cannot be used.
        var failure: String?
        /// What it is made by; nil once it is there.
        var job: ContextJob?
        /// While it is in memory.
        var context: CompressedContext?
        var beginning: ContextBeginning?
        var uses = 0
        var lastUse = 0
        /// Whether its memory goes as soon as nobody uses it.
        var isDeleted = false

        var isReady: Bool { job == nil && failure == nil }
        /// Slots know it by this.
        var slotID: String { file == nil ? name : "\(name)#\(id)" }
    }

    struct State {
        var entries: [Int: Entry] = [:]
        /// Those that requests can name.
        var names: [String: Int] = [:]
        /// Names of files in the folder that are not this scheduler's, and stay as they are.
        var foreign: Set<String> = []
        /// Bytes of contexts of the folder that are in memory, or not gone from it yet.
        var held = 0
        var lastID = 0
        var uses = 0
        var jobs: [ContextJob] = []
        /// Whether a text is being compressed or written.
        var isWorking = false

        func entry(_ name: String) -> Entry? { names[name].flatMap { entries[$0] } }

        mutating func add(
            _ name: String, tokens: Int, ratio: Double, _ more: (inout Entry) -> Void = { _ in }
        ) -> Entry {
            lastID += 1
            var entry = Entry(id: lastID, name: name, tokens: tokens, ratio: ratio)
            more(&entry)
            entries[entry.id] = entry
            names[name] = entry.id
            return entry
        }
    }

    /// Texts that may wait to be compressed.
    static let waitingLimit = 8
    /// Contexts that a folder may have.
    static let countLimit = 256

    let model: Model
    let folder: ContextFolder?
    /// How keys and values of texts are stored.
    let cache: CacheOptions
    let queue: RequestQueue
    let worker = Worker("morphkv.contexts")
    let state = Mutex(State())

    init(_ model: Model, _ options: ServingOptions, queue: RequestQueue) {
        self.model = model
        self.queue = queue
        folder = options.contextFolder
        cache = options.wholeTexts
        for (name, context) in options.contexts {
            let statistics = context.statistics
            state.withLock { state in
                _ = state.add(name, tokens: context.tokens.count, ratio: statistics.share) {
                    $0.bytes = statistics.heldBytes
                    $0.context = context
                }
            }
        }
    }

    // MARK: Looking

    /// The context of that name, if it is in memory.
    func resident(_ name: String) -> CompressedContext? { state.withLock { $0.entry(name)?.context } }

    /// Tokens of a context that can be used; 0 if there is none of that name.
    func tokens(of name: String) -> Int { state.withLock { $0.entry(name)?.tokens ?? 0 } }

    /// All of them by name.
    var all: [ServedContext] {
        state.withLock { state in state.names.values.compactMap { state.entries[$0] } }
            .map(Self.report).sorted { $0.name < $1.name }
    }

    func report(_ name: String) -> ServedContext? { state.withLock { $0.entry(name) }.map(Self.report) }

    static func report(_ entry: Entry) -> ServedContext {
        ServedContext(
            name: entry.name, state: entry.job?.progress ?? entry.failure.map { .failed($0) } ?? .ready,
            tokens: entry.tokens, bytes: entry.bytes, ratio: entry.ratio, uses: entry.uses,
            isResident: entry.context != nil, isPermanent: entry.file == nil)
    }

    var figures: ContextFigures {
        state.withLock { state in
            var figures = ContextFigures()
            for entry in state.entries.values where entry.isReady {
                figures.ready += entry.isDeleted ? 0 : 1
                figures.resident += entry.context == nil ? 0 : 1
            }
            figures.bytes = state.held
            figures.compressing = state.isWorking ? 1 : 0
            figures.waiting = state.jobs.count
            return figures
        }
    }

    // MARK: Using

    /// A hold on a context that is in memory.
    ///
    /// - Throws: ``ServingError`` of kind `unknownContext`, `contextNotReady` while it is made, or `contextNotLoaded` if it is
    ///   on disk only: then ``bring(_:)`` helps.
    func use(_ name: String) throws -> ContextUse {
        try state.withLock { state in
            guard let id = state.names[name], let entry = state.entries[id] else {
                throw ServingError(.unknownContext, "the context '\(name.prefix(100))' does not exist here")
            }
            if let failure = entry.failure {
                throw ServingError(.contextNotReady, "the context '\(name)' cannot be used: \(failure)")
            }
            guard entry.isReady else {
                throw ServingError(
                    .contextNotReady, "the context '\(name)' is being compressed", retryAfter: .seconds(1))
            }
            guard let context = entry.context else {
                throw ServingError(.contextNotLoaded, "the context '\(name)' is on disk", context: name)
            }
            state.uses += 1
            state.entries[id]!.uses += 1
            state.entries[id]!.lastUse = state.uses
            return ContextUse(context, id: entry.slotID) { [weak self] in self?.release(id) }
        }
    }

    /// Throws if a context is not in memory, as ``use(_:)`` does.
    func require(_ name: String?) throws { if let name { try use(name).release() } }

    private func release(_ id: Int) {
        let isLast = state.withLock { state in
            guard var entry = state.entries[id] else { return false }
            entry.uses -= 1
            state.entries[id] = entry
            return entry.isDeleted && entry.uses == 0
        }
        if isLast { worker.start { [self] in forget(id) } }
    }

    // MARK: Ending

    /// Ends a compression, or lets a context go: at once from the names and the disk, from memory when its last use ends.
    ///
    /// - Throws: ``ServingError`` if there is none, or it was given at the start.
    func delete(_ name: String) throws {
        let entry = try state.withLock { state in
            guard let entry = state.entry(name) else {
                throw ServingError(.unknownContext, "the context '\(name.prefix(100))' does not exist here")
            }
            guard entry.file != nil else {
                throw ServingError(.contextExists, "the context '\(name)' was given at the start, and stays")
            }
            state.names[name] = nil
            let wasWaiting = state.jobs.contains { $0.id == entry.id }
            state.jobs.removeAll { $0.id == entry.id }
            state.entries[entry.id]!.isDeleted = true
            if wasWaiting { state.entries[entry.id] = nil }
            return entry
        }
        if let job = entry.job { return job.cancel() }
        worker.start { [self] in
            // In turn with what is written, so that a later context of this name keeps its file.
            if let file = entry.file { try? FileManager.default.removeItem(at: file) }
            forget(entry.id)
        }
    }

    /// Takes a deleted context that nobody uses out of the slots that were kept behind it, and so out of memory.
    private func forget(_ id: Int) {
        let known = state.withLock { state in
            guard let entry = state.entries[id], entry.uses == 0 else { return nil as Entry? }
            state.entries[id] = nil
            return entry
        }
        guard let known, known.context != nil else { return }
        unmap([known])
    }
}

extension CompressedContext.Statistics {
    /// Bytes of the entries, and of the copy on the device where graphs attend to them.
    var heldBytes: Int { allocatedBytes + deviceBytes }

    /// The share of the whole text's bytes that is held.
    var share: Double { wholeBytes > 0 ? Double(allocatedBytes) / Double(wholeBytes) : 1 }
}
