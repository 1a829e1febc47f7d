public import Foundation
internal import Ggml

extension Session {
    /// Writes the whole state of the sequence to a file: keys, values, positions, scores, and what it goes on from.
    ///
    /// A session that is read back continues bit for bit, under every policy.
    ///
    /// - Parameters:
    ///   - url: the file to write.
    ///   - history: the token ids that led here, as far as the caller wants them back (``savedTokens``): a sequence of
    ///     constant size does not remember them.
    ///   - registry: what will read its policy.
    /// - Throws: ``GenerationError`` of kind `busy` while an answer is being generated, of kind `invalidOption` for a
    ///   history that is longer than the sequence; ``CacheError`` of kind `invalidToken` for an id outside the vocabulary,
    ///   `unknownPolicy` for a policy that `registry` cannot read back; `GgmlError` of kind `file` when the disk is full or
    ///   the place cannot be written; no partial file stays behind, and a file that was there before stays whole.
    public func save(to url: URL, tokens history: [Token] = [], registry: PolicyRegistry = .standard) throws {
        guard !isGenerating else { throw GenerationError(.busy, "the session is generating") }
        _ = try registry.policy(engine.cache.options.policy.specification)
        for token in history { try model.check(token) }
        // The token that was sampled last belongs to the sequence, fed or not.
        let length = engine.cache.seen + (unfed == nil ? 0 : 1)
        guard history.count <= length else {
            throw GenerationError(
                .invalidOption, "a history of \(history.count) tokens is longer than the sequence of \(length)")
        }
        try engine.save(to: url, tokens: history, unfed: unfed)
    }

    /// Reads a session that was saved.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - model: the model it was made with.
    ///   - registry: what reads its policy.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    /// - Throws: ``SavedCacheError`` if the file is something else, damaged, newer, or made with another model;
    ///   ``CacheError`` if its policy is unknown or cannot be honoured, of kind `calibration` if it was made with another
    ///   calibration of the model; `GgmlError` if it cannot be read or memory is short.
    public init(
        contentsOf url: URL, model: Model, registry: PolicyRegistry = .standard, threads: Int? = nil
    ) throws {
        let reader = try CacheFileReader(url, .session, model)
        let engine = try reader.engine(registry, threads: CompressedContext.threads(threads))
        let (unfed, history) = (try reader.tokens("unfed"), try reader.tokens("tokens"))
        guard unfed.count <= 1 else { throw reader.damaged("it has \(unfed.count) tokens to go on from, not one") }
        guard history.count <= engine.seen + unfed.count else {
            throw reader.damaged("it has \(history.count) tokens for a sequence of \(engine.seen + unfed.count)")
        }
        try self.init(engine: engine, unfed: unfed.first, savedTokens: history)
    }
}

extension Engine {
    /// Writes the whole state of the sequence to a file.
    ///
    /// - Parameters:
    ///   - history: the token ids that led here, as far as they are known.
    ///   - unfed: a token that was sampled but not fed yet.
    /// - Throws: `GgmlError` of kind `file` when the disk is full or the place cannot be written.
    func save(to url: URL, tokens history: [Token], unfed: Token? = nil) throws {
        let (cache, options) = (cache, cache.options)
        let writer = CacheFileWriter(.session, model: model)
        writer.set("policy", options.policy.specification)
        if let calibration = options.policy.calibration { writer.set("calibration", calibration.digest) }
        writer.set("key_type", options.keyType.rawValue)
        writer.set("value_type", options.valueType.rawValue)
        writer.set("attention", (cache.isFused ? CacheOptions.AttentionPath.fused : .graph).rawValue)
        writer.set("layout", "rows")
        if case .chunked(let tokens) = options.prefill { writer.set("prefill_chunk", tokens) }
        writer.setPins(of: cache)
        writer.set("positions", options.positions.description)
        writer.set("position_floor", cache.frame.floor)
        writer.set("position_base", cache.frame.base)
        writer.set("seen", cache.seen)
        writer.set("unfed", unfed.map { [Int($0)] } ?? [])
        writer.set("tokens", history.map(Int.init))
        writer.set("context", cache.context == nil ? 0 : 1)
        if let context = cache.context { writer.set("context_tokens", context.tokens) }
        writer.add(
            cache.layers.map(\.frozen), streaming: cache.context?.streaming, of: model.description)
        if hasLogits { writer.add("logits", logits) }
        try writer.add(cache.recurrent?.copy(), of: model.description)
        try writer.add(cache.context?.recurrent, of: model.description, prefix: "context.")
        for (index, layer) in cache.parts.enumerated() {
            for (part, cache) in layer.enumerated() { writer.add(cache, index, part) }
        }
        try withExtendedLifetime(cache) { try writer.write(to: url, check: backend.check) }
    }
}

extension CacheFileWriter {
    /// Announces the slots of a layer, or of some of its heads.
    fileprivate func add(_ layer: LayerCache, _ index: Int, _ part: Int) {
        set(CacheFile.live(index, part, "slots"), layer.slots)
        set(CacheFile.live(index, part, "used"), layer.used)
        set(CacheFile.live(index, part, "origin"), layer.origin)
        // The phase, by the name that files of before have for it.
        set(CacheFile.live(index, part, "since_hand_over"), layer.scores?.state.phase ?? 0)
        if layer.scores != nil { set(CacheFile.live(index, part, "prompt_end"), layer.promptEnd) }
        if let chosen = layer.chosen {
            set(CacheFile.live(index, part, "chosen_before"), chosen.before)
            set(CacheFile.live(index, part, "chosen"), chosen.positions.flatMap { $0 })
        }
        for (name, tensor, layout) in layer.savedTensors { add(CacheFile.live(index, part, name), tensor, layout) }
        if let moved = layer.movedPositions { add(CacheFile.live(index, part, "moved"), moved) }
        if let places = layer.places { add(CacheFile.live(index, part, "places"), places.numbers) }
    }
}

extension CacheFileReader {
    /// No number of tokens or slots is larger.
    fileprivate static let limit = KVCache.longestSequence

    /// An engine that holds a whole saved sequence.
    func engine(_ registry: PolicyRegistry, threads: Int) throws -> Engine {
        guard let attention = CacheOptions.AttentionPath(rawValue: try string("attention")) else {
            throw damaged("it names an unknown way to attend")
        }
        let chunk = has("prefill_chunk") ? try integer("prefill_chunk", in: 1...Int(UInt32.max)) : nil
        let options = try CacheOptions(
            policy: registry.policy(string("policy")), elementType: type("key_type"),
            valueType: type("value_type"), attention: model.placement.usesHostMemory ? attention : .automatic,
            prefill: chunk.map { .chunked($0) } ?? .exact,
            positions: positions(), pins: allowsPins()
        ).prepared(for: model)
        try checkCalibration(of: options.policy)
        let seen = try integer("seen", in: 0...Self.limit)
        let frozen = try frozenLayers(options.keyType, options.valueType, tokens: seen)
        var context: FrozenCache?
        if try integer("context", in: 0...1) == 1 {
            guard frozen.allSatisfy({ $0 != nil }) else { throw damaged("a layer of its context is missing") }
            context = FrozenCache(
                layers: frozen.compactMap { $0 }, tokens: try integer("context_tokens", in: 0...seen),
                streaming: try streamingHeads(), recurrent: try recurrentCopy(prefix: "context."))
        }
        let engine = try Engine(model, options, threads: threads, context: context)
        try load(into: engine, frozen: frozen, hasContext: context != nil, seen: seen)
        return engine
    }

    /// Puts a whole saved sequence into an engine that has a cache of just its kind and size, and is empty.
    ///
    /// - Returns: the token ids that led there.
    func load(into engine: Engine) throws -> [Token] {
        let options = engine.cache.options
        func same<Value: Equatable & CustomStringConvertible>(_ key: String, _ own: Value, _ saved: Value) throws {
            guard own == saved else {
                throw ServingError(
                    .invalidRequest, "\(file.name) was saved with the \(key) \(saved); the server has \(own)")
            }
        }
        try same("policy", options.policy.specification, string("policy"))
        try same("type of keys", options.keyType.rawValue, type("key_type").rawValue)
        try same("type of values", options.valueType.rawValue, type("value_type").rawValue)
        try same("limit of positions", options.positions.description, positions().description)
        try same("room for pins", options.pins, allowsPins())
        try checkCalibration(of: options.policy)
        let seen = try integer("seen", in: 0...Self.limit)
        let frozen = try frozenLayers(options.keyType, options.valueType, tokens: seen)
        guard try integer("context", in: 0...1) == 0, frozen.allSatisfy({ $0 == nil }) else {
            throw ServingError(.invalidRequest, "\(file.name) has entries besides its slots")
        }
        for (index, layer) in engine.cache.parts.enumerated() {
            for (part, cache) in layer.enumerated() {
                let slots = try integer(CacheFile.live(index, part, "slots"), in: 1...Self.limit)
                try same("number of slots in a layer", cache.slots, slots)
            }
        }
        try load(into: engine, frozen: frozen, hasContext: false, seen: seen)
        return try tokens("tokens")
    }

    /// Puts what the file holds into an engine with a cache of its kind, which is empty.
    fileprivate func load(into engine: Engine, frozen: [FrozenLayer?], hasContext: Bool, seen: Int) throws {
        for index in engine.cache.parts.indices {
            try restore(index, of: engine.cache, frozen: hasContext ? nil : frozen[index], seen: seen)
        }
        if let copy = try recurrentCopy() { engine.cache.recurrent?.restore(copy) }
        engine.cache.restore(seen: seen, frame: try frame(seen: seen))
        engine.mover.restoreTurns(of: engine.cache)
        try restorePins(of: engine.cache, seen: seen)
        if engine.hasLogits { engine.logits = try floats("logits", count: engine.logits.count) }
    }

    /// Files of before have no limit, and keys where they were first.
    private func positions() throws -> CacheOptions.PositionLimit {
        guard has("positions") else { return .trained }
        guard let limit = CacheOptions.PositionLimit(try string("positions")) else {
            throw damaged("it names an unknown limit of positions")
        }
        return limit
    }

    private func frame(seen: Int) throws -> RotaryFrame {
        guard has("position_floor") else { return RotaryFrame() }
        let floor = try integer("position_floor", in: 0...seen)
        return RotaryFrame(floor: floor, base: try integer("position_base", in: 0...floor))
    }

    /// Scores that slots remember and numbers of slots are of one calibration; files of before do not say of which.
    private func checkCalibration(of policy: any CachePolicy) throws {
        guard has("calibration") else { return }
        let (made, found) = (try string("calibration"), policy.calibration?.digest)
        guard made == found else {
            throw CacheError(
                .calibration,
                "\(file.name) was made with another calibration of the model, \(made), than this one, "
                    + (found ?? "which needs none"))
        }
    }

    private func restore(_ index: Int, of cache: KVCache, frozen: FrozenLayer?, seen: Int) throws {
        for part in cache.parts[index].indices {
            func key(_ name: String) -> String { CacheFile.live(index, part, name) }
            let slots = try integer(key("slots"), in: 1...Self.limit)
            let plan = cache.parts[index][part].plan
            guard plan.slots == nil || plan.slots == slots else { throw damaged("layer \(index) has \(slots) slots") }
            // Memory is taken only for what the file really holds.
            let shape = [plan.geometry.headDimension, slots, plan.geometry.kvHeads]
            _ = try bytes(key("keys"), plan.keyType.elementType, shape)
            if plan.slots == nil, slots != cache.parts[index][0].slots {
                let old = cache.parts[index][0]
                try cache.empty(index, slots: slots)
                if let frozen = old.frozen { cache.parts[index][0].follow(frozen, next: old.origin) }
            }
            let layer = cache.parts[index][part]
            let origin = try integer(key("origin"), in: 0...seen)
            if frozen != nil || layer.origin != origin || cache.context != nil {
                layer.follow(cache.context?.layers[index] ?? frozen, next: origin)
            }
            for (name, tensor, layout) in layer.savedTensors {
                tensor.write(try self.values(key(name), tensor, layout, isValue: tensor.isSame(as: layer.values)))
            }
            if let (name, moved) = layer.savedMoves, try self.frame(seen: seen).floor > 0 {
                moved.write(try bytes(key(name), moved.type, moved.shape))
                let isPossible = { (position: Float) in
                    position == position.rounded() && abs(position) <= Float(Self.limit)
                }
                guard moved.values().allSatisfy(isPossible) else {
                    throw damaged("keys of layer \(index) were moved to positions that cannot be")
                }
            }
            let used = try integer(key("used"), in: 0...min(slots, seen - origin))
            let phase = try integer(key("since_hand_over"), in: 0...Self.limit)
            guard layer.scores?.state.restore(phase: phase) ?? (phase == 0) else {
                throw damaged("layer \(index) has \(phase) queries since its scores were rotated")
            }
            if has(key("prompt_end")) { layer.endPrompt(at: try integer(key("prompt_end"), in: 0...seen)) }
            layer.restore(used: used, chosen: try chosen(key, used: used, heads: shape[2], seen: seen))
            try check(layer, index, seen: seen)
        }
    }

    /// What a tensor of a layer is to hold.
    private func values(_ name: String, _ tensor: Tensor, _ layout: SavedLayout, isValue: Bool) throws -> [UInt8] {
        if try has("layout") || string("attention") != CacheOptions.AttentionPath.graph.rawValue {
            let saved = layout.saved(tensor)
            return layout.decode(try bytes(name, saved.type, saved.shape), for: tensor)
        }
        // Files of before have everything as graphs had it, with values transposed.
        guard isValue, case .same = layout else { return Array(try bytes(name, tensor.type, tensor.shape)) }
        let shape = [tensor[1], tensor[0], tensor[2]]
        return SavedLayout.transpose(
            Array(try bytes(name, tensor.type, shape)), shape, size: tensor.type.bytes(1))
    }

    private func chosen(
        _ key: (String) -> String, used: Int, heads: Int, seen: Int
    ) throws -> (positions: [[Int]], before: Int)? {
        guard has(key("chosen_before")) else { return nil }
        let before = try integer(key("chosen_before"), in: 0...seen)
        let all = try integers(key("chosen"), in: 0...max(0, before - 1))
        let count = all.count / heads
        guard all.count == count * heads, used == count + seen - before else {
            throw damaged("the positions that were chosen do not fit its slots")
        }
        return ((0..<heads).map { Array(all[$0 * count..<($0 + 1) * count]) }, before)
    }

    /// Positions and counts are what the rule of the layer can lead to.
    private func check(_ layer: LayerCache, _ index: Int, seen: Int) throws {
        guard let scores = layer.scores else {
            let expected = layer.chosen == nil ? min(seen - layer.origin, layer.slots) : layer.used
            guard layer.used == expected else { throw damaged("layer \(index) holds \(layer.used) entries") }
            return
        }
        let positions: [Float] = scores.positions.values()
        for head in 0..<layer.plan.geometry.kvHeads {
            let held = positions[head * layer.slots..<(head + 1) * layer.slots].filter { $0 != -1 }
            guard held.count == layer.used, Set(held).count == held.count,
                held.allSatisfy({ $0 >= Float(layer.origin) && $0 < Float(seen) && $0 == $0.rounded() })
            else { throw damaged("the positions of layer \(index) are not \(layer.used) different ones below \(seen)") }
        }
    }
}
