#if Server
internal import Logging
internal import MorphKV

/// What there is, what clients ask to be done with it, and the end.
extension ModelPool {
    /// Looks at all files.
    ///
    /// - Throws: what the system says if the folder cannot be read.
    func read() async throws {
        for file in try loader.files() {
            var entry = ModelEntry(file)
            do {
                entry.bytes = try await loader.bytes(of: file)
            } catch {
                entry.state = .failed("\(error)")
                loader.parts.logger.warning("the model \(file.name) cannot be used: \(error)")
            }
            entries[file.name] = entry
        }
        room = folder.memory ?? sizes.compactMap(\.bytes).max() ?? 0
    }

    /// The bytes of all models.
    var sizes: [FolderMemory.Entry] {
        all.map { .init(name: $0.file.name, bytes: $0.bytes, problem: $0.state.problem) }
    }

    /// Loads nothing for clients until ``open(room:)``.
    func shut() { isOpen = false }

    /// Takes requests for all models.
    ///
    /// - Parameter room: bytes that loaded models may take together.
    func open(room: Int) {
        self.room = room
        isOpen = true
    }

    /// All models, by name.
    var all: [ModelEntry] { entries.values.sorted { $0.file.name < $1.file.name } }

    /// Requests that wait for their models.
    var waiting: Int { waiters.count }

    // MARK: What clients ask for

    /// Begins to load a model, as soon as there is room.
    ///
    /// - Throws: ``APIError`` if there is no such model, it is there, or it is too large.
    func requestLoad(_ name: String) throws {
        let entry = try entry(name)
        guard entry.state.model == nil, !entry.state.isLoading else {
            throw APIError.invalid("the model '\(name)' is loaded already", param: "model")
        }
        try checkRoom(entry)
        Task { _ = try? await lease(name) }
    }

    /// Takes a model out as soon as its answers have ended.
    ///
    /// - Throws: ``APIError`` if there is no such model or it is not there.
    func requestUnload(_ name: String) throws {
        guard try entry(name).state.model != nil else {
            throw APIError.invalid("the model '\(name)' is not loaded", param: "model")
        }
        entries[name]!.leaving = .asked
        advance()
    }

    /// Takes all models out that answer nothing, and waits until they are gone.
    func unloadAll() async {
        for name in entries.keys { try? requestUnload(name) }
        // Only a task that was cancelled sleeps no more.
        while !entries.values.allSatisfy(\.state.isGone) {
            do { try await Task.sleep(for: .milliseconds(1)) } catch { return }
        }
    }

    // MARK: Ending

    /// Takes no more requests; those that wait for a model are told so.
    func close() {
        isClosed = true
        for waiter in waiters { waiter.turn.resume(throwing: APIError.closing) }
        waiters = []
        for entry in entries.values { entry.state.model?.scheduler.close() }
    }

    /// Whether nothing runs and nothing waits.
    var isIdle: Bool {
        waiters.isEmpty && !isChanging && entries.values.allSatisfy { $0.state.model?.scheduler.isIdle ?? true }
    }

    /// Ends what still runs.
    func stop() async {
        for entry in entries.values { await entry.state.model?.scheduler.stop() }
    }
}
#endif
