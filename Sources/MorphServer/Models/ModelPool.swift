#if Server
internal import Logging
internal import MorphKV

/// The models of a folder: loaded when they are asked for, and taken out of memory when others need the room or nobody has asked
/// for a while.
///
/// One model is brought in or taken out at a time, and one comes in only when the room for it is really free, so the loaded ones
/// never take more than the room that was announced. A model that answers something is never taken out.
actor ModelPool {
    /// A request that waits for its model.
    struct Waiter {
        let id: Int
        let name: String
        let turn: CheckedContinuation<ModelLease, any Error>
    }

    nonisolated let loader: ModelLoader
    var entries: [String: ModelEntry] = [:]
    var waiters: [Waiter] = []
    /// Bytes that loaded models may take together.
    var room = Int.max
    /// Whether a model is being brought in or taken out.
    var isChanging = false
    /// Whether models are loaded for clients; not while the server is busy with itself.
    var isOpen = true
    var isClosed = false
    private var count = 0
    private let clock = ContinuousClock()
    var folder: ModelFolder { loader.folder }

    init(_ loader: ModelLoader) { self.loader = loader }

    /// The model of that name.
    ///
    /// - Throws: ``APIError`` if there is none.
    func entry(_ name: String) throws -> ModelEntry {
        guard let entry = entries[name] else {
            throw APIError.notFound(
                "the model '\(name.prefix(100))' does not exist here", param: "model", code: "model_not_found")
        }
        return entry
    }

    /// The name that a request means that states none.
    private func usualName() throws -> String {
        if let usual = folder.usual { return ModelFile(usual).name }
        let loaded = entries.values.filter { $0.state.model != nil }
        guard loaded.count == 1 else {
            throw APIError.invalid(
                "'model' is missing; there are \(all.map(\.file.name).joined(separator: ", "))", param: "model")
        }
        return loaded[0].file.name
    }

    // MARK: Asking for a model

    /// A model, which stays in memory as long as the lease is held.
    ///
    /// - Parameters:
    ///   - name: nil for the usual one.
    ///   - isOwn: whether it is the server itself that asks.
    /// - Throws: ``APIError`` if there is no such model, it cannot be loaded, or too many wait; `CancellationError` when the
    ///   task is cancelled meanwhile.
    func lease(_ name: String?, isOwn: Bool = false) async throws -> ModelLease {
        let name = try name ?? usualName()
        let entry = try entry(name)
        guard !isClosed else { throw APIError.closing }
        if let lease = grant(name) { return lease }
        guard isOpen || isOwn else { throw APIError.warmingUp }
        try checkRoom(entry)
        guard waiters.count < folder.queueLimit else { throw APIError.modelsQueueFull(waiters.count) }
        count += 1
        let id = count
        let deadline = Task { try await giveUp(id) }
        defer { deadline.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { turn in
                waiters.append(Waiter(id: id, name: name, turn: turn))
                advance()
            }
        } onCancel: {
            Task { await self.end(id, CancellationError()) }
        }
    }

    /// A lease at once, if the model is there and nobody needs its room.
    private func grant(_ name: String) -> ModelLease? {
        guard let entry = entries[name], let model = entry.state.model, entry.canBeLeased else { return nil }
        entries[name]!.leases += 1
        entries[name]!.lastUse = clock.now
        return ModelLease(model) { [weak self] in
            Task { [weak self] in await self?.ended(name) }
        }
    }

    func checkRoom(_ entry: ModelEntry) throws {
        if let bytes = entry.bytes, bytes > room { throw APIError.modelTooLarge(entry.file.name, bytes, room) }
    }

    private func ended(_ name: String) {
        entries[name]?.leases -= 1
        entries[name]?.lastUse = clock.now
        advance()
        watchIdleness(of: name)
    }

    /// Ends a wait for room after its time; while the model itself is being read it goes on.
    private func giveUp(_ id: Int) async throws {
        repeat {
            try await Task.sleep(for: folder.waitTime)
        } while waiters.first { $0.id == id }.flatMap { entries[$0.name] }?.state.isLoading == true
        end(id, APIError.modelsBusy)
    }

    private func end(_ id: Int, _ error: any Error) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        waiters.remove(at: index).turn.resume(throwing: error)
        advance()
    }

    // MARK: Bringing in and taking out

    /// Does what can be done next for those who wait.
    func advance() {
        waiters.removeAll { waiter in
            guard let lease = grant(waiter.name) else { return false }
            waiter.turn.resume(returning: lease)
            return true
        }
        guard !isChanging else { return }
        if let leaving = entries.values.first(where: { $0.leaving == .asked && $0.isIdle }) { return unload(leaving) }
        guard let next = waiters.lazy.compactMap({ self.entries[$0.name] }).first(where: { $0.state.model == nil })
        else {
            // Nobody needs the room any more.
            if keepAll() { advance() }
            return
        }
        makeRoom(for: next)
    }

    /// Lets the models stay that were to go for others.
    ///
    /// - Returns: whether there were some.
    @discardableResult
    private func keepAll() -> Bool {
        let leaving = entries.filter { $0.value.leaving == .forOthers }.keys
        for name in leaving { entries[name]!.leaving = nil }
        return !leaving.isEmpty
    }

    /// Loads a model if there is room; else takes out those that were not asked for for longest, as soon as they are idle.
    private func makeRoom(for entry: ModelEntry) {
        let loaded = entries.values.filter { $0.state.model != nil }
        let need = (entry.bytes ?? 0) - (room - loaded.reduce(0) { $0 + ($1.bytes ?? 0) })
        guard need > 0 else { return load(entry) }
        var victims: [ModelEntry] = []
        for candidate in loaded.sorted(by: { ($0.busyness, $0.lastUse) < ($1.busyness, $1.lastUse) })
        where victims.reduce(0, { $0 + ($1.bytes ?? 0) }) < need {
            victims.append(candidate)
        }
        keepAll()
        for victim in victims { entries[victim.file.name]!.leaving = victim.leaving ?? .forOthers }
        if victims.allSatisfy(\.isIdle), let first = victims.first { unload(first) }
    }

    private func load(_ entry: ModelEntry) {
        let file = entry.file
        isChanging = true
        entries[file.name]!.state = .loading
        Task {
            do {
                // The file may be another one by now.
                let bytes = try await loader.bytes(of: file)
                entries[file.name]!.bytes = bytes
                try checkRoom(entries[file.name]!)
                let others = entries.values.reduce(0) { $0 + ($1.state.model == nil ? 0 : $1.bytes ?? 0) }
                if bytes <= room - others {
                    let model = try await loader.load(file)
                    loaded(file.name, model)
                } else {
                    entries[file.name]!.state = .unloaded
                }
            } catch {
                failed(file.name, error)
            }
            isChanging = false
            advance()
            watchIdleness(of: file.name)
        }
    }

    private func loaded(_ name: String, _ model: ServedModel) {
        let memory = model.scheduler.memory
        let (real, planned) = (memory.total + memory.requests, entries[name]!.bytes ?? 0)
        if real > planned {
            loader.parts.logger.warning("the model \(name) takes \(real) bytes, not \(planned) as was planned")
            entries[name]!.bytes = real
        }
        entries[name]!.state = .loaded(model)
        entries[name]!.lastUse = clock.now
        entries[name]!.loads += 1
        if isClosed { model.scheduler.close() }
    }

    private func failed(_ name: String, _ error: any Error) {
        loader.parts.logger.warning("the model \(name) cannot be loaded: \(error)")
        entries[name]!.state = .failed("\(APIError(error)?.message ?? "\(error)")")
        let refusal = error as? APIError ?? .modelFailed(name, "\(error)")
        for waiter in waiters where waiter.name == name { waiter.turn.resume(throwing: refusal) }
        waiters.removeAll { $0.name == name }
    }

    private func unload(_ entry: ModelEntry) {
        // Nothing here may hold on to the model.
        let name = entry.file.name
        guard let leaving = take(name) else { return }
        Task {
            await loader.unload(leaving)
            entries[name]!.state = .unloaded
            isChanging = false
            advance()
        }
    }

    /// Takes the model away from everybody.
    private func take(_ name: String) -> LeavingModel? {
        guard let model = entries[name]?.state.model else { return nil }
        isChanging = true
        entries[name]!.state = .unloading
        entries[name]!.leaving = nil
        return LeavingModel(model)
    }

    /// Takes a model out when it was idle for long enough.
    private func watchIdleness(of name: String) {
        guard let limit = folder.idleTime, let entry = entries[name], entry.isIdle, !entry.isWatched else { return }
        entries[name]!.isWatched = true
        let rest = limit - (clock.now - entry.lastUse)
        Task { [weak self] in
            try await Task.sleep(for: max(rest, .milliseconds(1)))
            await self?.looksIdle(name, limit)
        }
    }

    private func looksIdle(_ name: String, _ limit: Duration) {
        entries[name]!.isWatched = false
        guard let entry = entries[name], entry.isIdle else { return }
        if clock.now - entry.lastUse >= limit, !isChanging { return unload(entry) }
        watchIdleness(of: name)
    }
}
#endif
