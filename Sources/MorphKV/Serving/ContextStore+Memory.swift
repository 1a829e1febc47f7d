internal import Foundation
internal import Synchronization

/// What of a folder is in memory.
extension ContextStore {
    /// A hold on a context, which is read from its file if it is not in memory; those that nobody has used for longest make
    /// room.
    ///
    /// - Throws: ``ServingError`` as ``use(_:)`` does, and of kind `contextsInUse` when there is no room because all are used.
    func bring(_ name: String) async throws -> ContextUse {
        try await worker.run { [self] in try mapIn(name) }
    }

    /// The same, on the store's own thread: one after the other.
    private func mapIn(_ name: String) throws -> ContextUse {
        do { return try use(name) } catch let error as ServingError where error.kind == .contextNotLoaded {}
        guard let entry = state.withLock({ $0.entry(name) }), let file = entry.file else { return try use(name) }
        try makeRoom(for: entry)
        do {
            let context = try read(file)
            state.withLock { state in
                if state.entries[entry.id] == nil || state.entries[entry.id]!.isDeleted {
                    state.held -= entry.bytes
                } else {
                    state.entries[entry.id]!.context = context
                }
            }
        } catch {
            state.withLock { state in
                state.held -= entry.bytes
                state.entries[entry.id]?.failure = "\(error)"
            }
        }
        return try use(name)
    }

    /// Takes a context's bytes of the folder's share of memory.
    private func makeRoom(for entry: Entry) throws {
        let most = folder?.bytes ?? 0
        let leaving = try state.withLock { state in
            let idle = state.entries.values.filter {
                $0.context != nil && $0.uses == 0 && $0.file != nil && !$0.isDeleted
            }
            var (room, leaving) = (most - state.held, [Entry]())
            for idle in idle.sorted(by: { $0.lastUse < $1.lastUse }) where room < entry.bytes {
                leaving.append(idle)
                room += idle.bytes
            }
            guard room >= entry.bytes else {
                throw ServingError(
                    .contextsInUse,
                    "the context '\(entry.name)' has \(entry.bytes) bytes, and others that are in use leave \(room) of \(most)",
                    retryAfter: .seconds(2))
            }
            for idle in leaving { state.entries[idle.id]!.context = nil }
            return leaving
        }
        unmap(leaving)
        state.withLock { $0.held += entry.bytes }
    }

    /// Gives the memory of contexts back that have no name or no entry's context any more: takes them out of the slots
    /// that were kept behind them, between two steps.
    func unmap(_ entries: [Entry]) {
        guard !entries.isEmpty else { return }
        let slots = Set(entries.map(\.slotID))
        let done = DispatchSemaphore(value: 0)
        let isRunning = queue.submit { caches in
            caches.leave(slots)
            done.signal()
        }
        if isRunning { done.wait() }
        state.withLock { $0.held -= entries.reduce(0) { $0 + $1.bytes } }
    }

    // MARK: From before

    /// Finds what the folder has from before; none of it stays in memory. What an interrupted write left is removed.
    ///
    /// - Parameter fits: throws if sequences of the scheduler cannot follow a context.
    /// - Returns: for each file that is not one for this scheduler why, in one sentence.
    /// - Throws: `GgmlError` if the folder cannot be read.
    func load(_ fits: (CompressedContext) throws -> Void) throws -> [String] {
        guard let folder else { return [] }
        let files = try FileManager.default.contentsOfDirectory(
            at: folder.url, includingPropertiesForKeys: [.fileSizeKey, .isRegularFileKey])
        var skipped: [String] = []
        for file in files.sorted(by: { $0.lastPathComponent < $1.lastPathComponent }) {
            let name = file.lastPathComponent
            if name.wholeMatch(of: /\..+\.gguf\.[0-9A-F]{8}\.part/) != nil {
                try? FileManager.default.removeItem(at: file)
            } else if name.hasSuffix(".gguf"), !name.hasPrefix(".") {
                do { try load(String(name.dropLast(5)), file, folder, fits) } catch {
                    state.withLock { _ = $0.foreign.insert(String(name.dropLast(5))) }
                    skipped.append("\(name) is not a context of this server: \(error)")
                }
            }
        }
        return skipped
    }

    private func read(_ file: URL) throws -> CompressedContext {
        var context = try CompressedContext(contentsOf: file, model: model)
        context.attention = cache.attention
        return context
    }

    private func load(
        _ name: String, _ file: URL, _ folder: ContextFolder, _ fits: (CompressedContext) throws -> Void
    ) throws {
        func refuse(_ what: String) -> ServingError { ServingError(.invalidRequest, what) }
        guard ServedContext.isValid(name: name) else { throw refuse("it has a name that none can have") }
        guard state.withLock({ $0.names[name] == nil }) else { throw refuse("another has its name") }
        guard state.withLock({ $0.names.count < Self.countLimit }) else {
            throw refuse("there are \(Self.countLimit) already")
        }
        let size = Self.size(of: file)
        guard size <= folder.bytes else { throw refuse("it has \(size) bytes; \(folder.bytes) are possible") }
        let context = try read(file)
        try fits(context)
        let statistics = context.statistics
        let bytes = size + statistics.deviceBytes + context.tokens.count * MemoryLayout<Token>.stride
        guard bytes <= folder.bytes else { throw refuse("it takes \(bytes) bytes; \(folder.bytes) are possible") }
        let share = statistics.share
        let beginning = ContextBeginning(context)
        state.withLock { state in
            _ = state.add(name, tokens: context.tokens.count, ratio: share) {
                ($0.bytes, $0.file, $0.beginning) = (bytes, file, beginning)
            }
        }
    }

    static func size(of file: URL) -> Int {
        (try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) ?? 0
    }
}
