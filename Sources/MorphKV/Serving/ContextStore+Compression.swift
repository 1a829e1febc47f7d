internal import Foundation
internal import Synchronization

/// How texts become contexts.
extension ContextStore {
    /// Puts a text behind those that wait to be compressed.
    ///
    /// - Throws: ``ServingError`` if it cannot become a context here, ``CacheError`` if its compression makes no sense.
    func add(_ text: ContextText) throws -> ServedContext {
        guard let folder else { throw ServingError(.invalidRequest, "there is no folder for contexts") }
        try check(text, folder)
        let beginning = text.text.map { ContextBeginning($0, tokens: text.system + text.document) }
        let memory = CompressionMemory(model: model, options: cache)
        let graphs = try memory.graphs(of: text)
        var text = text
        text.text = nil
        let entry = try state.withLock { state in
            guard !state.foreign.contains(text.name) else {
                throw ServingError(
                    .contextExists, "the folder has a file '\(text.name).gguf' that is not a context of this server")
            }
            if let known = state.entry(text.name) {
                guard known.failure != nil, known.uses == 0 else {
                    throw ServingError(.contextExists, "there is a context '\(text.name)' already")
                }
                state.entries[known.id] = nil
            }
            guard state.names.count < Self.countLimit || state.names[text.name] != nil else {
                throw ServingError(.contextExists, "there are \(Self.countLimit) contexts already: delete one before")
            }
            guard state.jobs.count < Self.waitingLimit else {
                throw ServingError(
                    .queueFull, "\(state.jobs.count) texts wait to be compressed already; try again later",
                    retryAfter: .seconds(30))
            }
            var ratio = 1.0
            if case .ratio(let asked) = text.compression.budget { ratio = asked }
            let job = ContextJob(state.lastID + 1, text, beginning, graphs: graphs)
            state.jobs.append(job)
            return state.add(text.name, tokens: text.tokens, ratio: ratio) {
                ($0.job, $0.file) = (job, folder.file(text.name))
            }
        }
        queue.wake()
        return Self.report(entry)
    }

    private func check(_ text: ContextText, _ folder: ContextFolder) throws {
        guard ServedContext.isValid(name: text.name) else {
            throw ServingError(
                .invalidRequest,
                "a context's name has 1 to 64 letters, digits, '.', '_' and '-', and does not begin with '.'")
        }
        try text.compression.validate(layerCount: model.description.layers.count)
        if case .calibration = text.compression.source {
            _ = try model.neededCalibration(for: "cutting a text by what is foreseen")
        }
        guard !text.document.isEmpty else { throw ServingError(.invalidRequest, "the text is empty") }
        let most = min(folder.tokens, model.description.contextLength)
        guard text.tokens <= most else {
            throw ServingError(
                .promptTooLong, "a text of \(text.tokens) tokens; texts of \(most) can be compressed here",
                tokens: (text.tokens, most))
        }
        let bytes = CompressionMemory(model: model, options: cache).resultBytes(
            tokens: text.tokens, system: text.system.count, text.compression)
        guard bytes <= folder.bytes else {
            throw ServingError(
                .doesNotFit,
                "the context can take \(bytes) bytes; all contexts together have \(folder.bytes) here: cut it more, by a smaller ratio"
            )
        }
    }

    // MARK: The computing thread

    /// Whether a text can be compressed now.
    var hasJob: Bool { state.withLock { !$0.isWorking && !$0.jobs.isEmpty } }

    /// The text to compress now, if there is one and no other is being written.
    func nextJob() -> ContextJob? {
        state.withLock { state in
            guard !state.isWorking, !state.jobs.isEmpty else { return nil }
            state.isWorking = true
            return state.jobs.removeFirst()
        }
    }

    /// Takes over a text that was read and scored, or the error that ended that.
    func finish(_ job: ContextJob, _ error: (any Error)?) {
        worker.start { [self] in
            let result = Result {
                if let error { throw error }
                return try write(job)
            }
            let isThere = end(job, result)
            queue.wake()
            // The first question need not wait for it.
            if isThere { Task { [self] in _ = try? await bring(job.text.name) } }
        }
    }

    /// Cuts and writes a context.
    ///
    /// - Returns: the bytes that it takes in memory, and its share of the whole.
    private func write(_ job: ContextJob) throws -> (bytes: Int, share: Double) {
        guard var context = job.takeWhole(), let folder, !job.isCancelled else { throw CancellationError() }
        try context.compress(job.text.compression, threads: 1)
        let file = folder.file(job.text.name)
        try context.save(to: file)
        return (
            Self.size(of: file) + context.tokens.count * MemoryLayout<Token>.stride, context.statistics.share
        )
    }

    /// - Returns: whether the context is there.
    private func end(_ job: ContextJob, _ result: Result<(bytes: Int, share: Double), any Error>) -> Bool {
        _ = job.takeWhole()
        let file = folder?.file(job.text.name)
        return state.withLock { state in
            state.isWorking = false
            guard var entry = state.entries[job.id], !entry.isDeleted else {
                state.entries[job.id] = nil
                if let file { try? FileManager.default.removeItem(at: file) }
                return false
            }
            entry.job = nil
            do {
                (entry.bytes, entry.ratio) = try result.get()
                entry.beginning = job.beginning
            } catch {
                entry.failure = error is CancellationError ? "it was interrupted" : "\(error)"
            }
            state.entries[job.id] = entry
            return entry.isReady
        }
    }

    // MARK: Being found

    /// The context whose text a message begins with, followed by an empty line.
    ///
    /// - Parameter before: the tokens before the message's text.
    /// - Returns: its name and what follows the empty line; nil if there is none.
    func found(in message: String, after before: () -> [Token]?) -> (name: String, rest: String)? {
        let known = state.withLock { state in
            state.names.values.compactMap { state.entries[$0] }.filter { $0.isReady && $0.beginning != nil }
        }
        guard !known.isEmpty else { return nil }
        let bytes = Array(message.utf8)
        let possible = known.filter { entry in
            let end = entry.beginning!.bytes
            return end + 2 <= bytes.count && bytes[end] == 0x0A && bytes[end + 1] == 0x0A
        }.sorted { $0.beginning!.bytes < $1.beginning!.bytes }
        guard !possible.isEmpty, let tokenizer = model.tokenizer else { return nil }
        let sums = ContextBeginning.sums(of: bytes, at: possible.map { $0.beginning!.bytes })
        // The longest is the one that leaves least to read.
        let matches = zip(possible, sums).filter { $0.beginning!.sum == $1 }.map(\.0)
        guard !matches.isEmpty, let before = before() else { return nil }
        for entry in matches.reversed() {
            let end = entry.beginning!.bytes
            let tokens = before + tokenizer.encode(String(decoding: bytes[..<end], as: UTF8.self), addSpecial: false)
            guard tokens.count == entry.tokens, ContextBeginning.sum(of: tokens) == entry.beginning!.tokens
            else { continue }
            return (entry.name, String(decoding: bytes[(end + 2)...], as: UTF8.self))
        }
        return nil
    }
}
