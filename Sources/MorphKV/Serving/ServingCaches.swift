internal import Foundation
internal import Ggml

/// The caches of a scheduler: allocated at its start, and never more than that.
///
/// They are a prefix cache too: one whose answer has ended is kept until another request needs it, and a request whose
/// prompt begins with all that it has seen, such as the next turn of the same conversation, goes on from it.
final class ServingCaches {
    private let model: Model
    private let options: ServingOptions
    private let limits: ServingLimits
    private let workspace: EngineWorkspace
    private let scratchBytes: Int
    private let calibrationBytes: Int
    private let compressionBytes: Int
    let fullCost: FullCacheCost
    let slots: [ServingSlot]
    private var uses = 0

    init(_ model: Model, _ options: ServingOptions, _ limits: ServingLimits) throws {
        self.model = model
        self.options = options
        let workspace = try EngineWorkspace(model, threads: options.threads)
        fullCost = limits.fullCost
        slots = try (0..<options.parallel + options.spareCaches).map { index in
            ServingSlot(
                index: index,
                engine: try Engine(model, options.cache, in: workspace, reserve: limits.defaultKind.reserve),
                kind: limits.defaultKind)
        }
        // Requests may name a policy that needs it. One that cannot be used takes nothing, and their policy is refused.
        calibrationBytes = (try? model.calibration())?.bytes ?? 0
        compressionBytes =
            try options.contextFolder.map { folder in
                try CompressionMemory(model: model, options: options.wholeTexts).bytes(
                    tokens: min(folder.tokens, model.description.contextLength), threads: options.threads)
            } ?? 0
        self.limits = limits
        self.workspace = workspace
        scratchBytes = try Self.scratchBytes(model, options, slots: limits.slotsPerHead)
    }

    /// Bytes of keys and values of the largest part of a prompt, which are allocated while it is fed.
    static func scratchBytes(_ model: Model, _ options: ServingOptions, slots: Int) throws -> Int {
        let backend = try Backend(model.placement, threads: options.threads)
        let scratches = try PrefillScratch.all(
            model.description, options.cache.keyType, options.cache.valueType,
            entries: slots + options.promptChunk, queries: options.promptChunk,
            isFused: options.cache.isFused(on: model.placement), on: backend)
        return PrefillScratch.bytes(of: scratches) + options.promptChunk * model.description.streamLength * 4
    }

    /// Where graphs attend, parts of prompts enter at once that have no more tokens and see no more entries than the largest part
    /// alone, whose memory is announced.
    ///
    /// On the CPU they do not: there an answer is bit for bit what it is alone.
    ///
    /// - Parameter parts: at least one.
    /// - Returns: the first ones that can enter with the very first, and itself.
    func together<Owner>(_ parts: [(owner: Owner, part: Engine.Prompt)]) -> [(owner: Owner, part: Engine.Prompt)] {
        guard !model.placement.usesHostMemory else { return [parts[0]] }
        var tokens = min(options.promptChunk, Engine.mostTogether) - parts[0].part.tokens.count
        var entries = limits.slotsPerHead + options.promptChunk - parts[0].part.entries
        return [parts[0]]
            + parts.dropFirst().filter { _, part in
                guard part.tokens.count <= tokens, part.entries <= entries, part.canEnter(with: parts[0].part) else {
                    return false
                }
                tokens -= part.tokens.count
                entries -= part.entries
                return true
            }
    }

    /// Bytes of all caches at the start, which are never exceeded.
    var bytes: Int { slots.count * limits.bytesPerSequence }

    /// Everything that was allocated.
    ///
    /// - Parameter steps: bytes of intermediate results of a step.
    func memory(steps: Int) -> ServingMemory {
        let graphs = slots.reduce(0) { $0 + ($1.engine.map { $0.computeBytes - workspace.bytes } ?? 0) }
        return ServingMemory(
            weights: model.weightBytes, caches: bytes, cachePerSequence: limits.bytesPerSequence,
            contexts: options.contexts.values.reduce(0) { $0 + $1.statistics.heldBytes },
            calibration: calibrationBytes, compute: workspace.bytes + scratchBytes + graphs + steps + movingBytes,
            requests: Self.requestBytes(options), contextRoom: options.contextFolder?.bytes ?? 0,
            compression: compressionBytes,
            isHost: model.placement.usesHostMemory)
    }

    /// Where graphs attend, sequences that are fed together lie in memory of their own, and one that joins or leaves is
    /// moved: at most as many bytes again.
    private var movingBytes: Int { options.cache.isFused(on: model.placement) ? 0 : bytes }

    /// Bytes of the tokens that waiting and running requests have at most, and of pieces that their readers have not
    /// taken yet.
    static func requestBytes(_ options: ServingOptions) -> Int {
        let token = MemoryLayout<Token>.stride
        let answer = options.maxTokens * token + AnswerBuffer.limit * MemoryLayout<ServingPiece>.stride
        return (options.parallel + options.queueLimit) * options.maxPromptTokens * token
            + (options.parallel + options.spareCaches) * answer
    }

    /// Feeds the largest parts of prompts and takes the largest steps that there can be under any request's policy, in
    /// batches of all sizes; the server's own comes last.
    func warmUp(_ batch: Batch) throws {
        for cache in limits.extremes + [options.cache] {
            for slot in slots.prefix(options.parallel) {
                // First the old memory goes, then the new comes: never both.
                slot.engine = nil
                slot.engine = try Engine(model, cache, in: workspace, reserve: slot.kind.reserve)
            }
            let first = slots[0].engine!
            try first.warmUp(chunk: first.cache.hasParts ? Self.fedChunk : options.promptChunk)
            try warmUpPrompts(slots.prefix(options.parallel).map { $0.engine! })
            for size in batch.sizes(upTo: options.parallel) {
                let engines = slots.prefix(size).map { $0.engine! }
                for engine in engines { try engine.warmUp(chunk: 0) }
                try batch.decode(engines.map { ($0, 0) })
            }
        }
    }

    /// Feeds as many prompts at once as there can be.
    private func warmUpPrompts(_ engines: [Engine]) throws {
        let most = min(options.promptChunk, Engine.mostTogether)
        for engine in engines { engine.clear() }
        let parts = engines.prefix(most).map { engine in
            (owner: (), part: Engine.Prompt(engine, Array(repeating: 0, count: most / min(most, engines.count))))
        }
        let together = together(parts).map(\.part)
        if together.count > 1 { try Engine.prefill(together) }
    }

    /// Takes the largest steps behind every context, after which all of its entries are in memory too.
    func warmUpContexts(_ batch: Batch) throws {
        var contexts = options.contexts.keys.sorted().map { (name: $0, context: options.contexts[$0]!) }
        if let folder = options.contextFolder {
            // Those that come later need no more than the largest.
            let tokens = min(folder.tokens, model.description.contextLength)
            let memory = CompressionMemory(model: model, options: options.wholeTexts)
            contexts.append(("", try memory.largestContext(tokens: tokens)))
        }
        guard !contexts.isEmpty else { return }
        let slot = slots[0]
        for (name, context) in contexts {
            for cache in limits.extremes + [options.cache] {
                var request = ServingRequest(prompt: [], cache: cache)
                request.use = ContextUse(context, id: name)
                guard limits.fits(request) else { continue }
                try prepare(slot, for: request)
                try slot.engine!.warmUp(chunk: Self.fedChunk)
                // Sequences without a context may be in one batch with those behind one.
                for size in batch.sizes(upTo: options.parallel) {
                    try batch.decode(slots.prefix(size).map { ($0.engine!, 0) })
                }
            }
        }
        try prepare(slot, for: ServingRequest(prompt: []))
    }

    /// Tokens of a prompt that enter in parts of each size that has a graph.
    private static let fedChunk = Engine.feedSizes.reduce(0, +)

    // MARK: Giving them out

    /// Whether the slot that a request wants is free.
    func isFree(for request: ServingRequest) -> Bool { request.slot.map { !slots[$0].isBusy } ?? true }

    /// A cache for a request: the one that it names, else the one that has seen most of its prompt if that is worth it, else an
    /// empty one, else the one that was not used for longest.
    ///
    /// - Throws: ``ServingError`` or `GgmlError`.
    func claim(for request: ServingRequest) throws -> ServingSlot {
        let kind = limits.kind(of: request)
        let candidates = request.slot.map { [slots[$0]] } ?? slots.filter { !$0.isBusy }
        let matches = candidates.compactMap { slot in slot.matches(request, kind).map { (slot: slot, count: $0) } }
        let best = matches.max { $0.count < $1.count }
        // There are at least as many slots as requests that run at a time.
        let other = candidates.min { $0.precedence < $1.precedence }!
        let slot = best.map { isWorthIt($0.slot, $0.count, request, instead: other) ? $0.slot : other } ?? other
        if let count = matches.first(where: { $0.slot === slot })?.count {
            slot.truncate(to: count)
        } else {
            try prepare(slot, for: request)
        }
        slot.isBusy = true
        return slot
    }

    /// Whether a cache that has seen a prompt's beginning is better than one that is empty or was not used for longest.
    ///
    /// Where it has to give up what it has seen after that, a tenth of the prompt must be in it; and half of what it has seen, if
    /// an empty one is there: what two conversations have in common, such as a system prompt, is no reason to end one of them.
    private func isWorthIt(
        _ slot: ServingSlot, _ count: Int, _ request: ServingRequest, instead other: ServingSlot
    ) -> Bool {
        if count == slot.fed.count { return true }
        let keepsHalf = count * 2 >= slot.fed.count
        return count * 10 >= request.prompt.count && (keepsHalf || !other.fed.isEmpty)
    }

    /// Empties a slot and gives it the kind of cache that is wanted, in place of the one it has.
    private func prepare(_ slot: ServingSlot, for request: ServingRequest) throws {
        let kind = limits.kind(of: request)
        if slot.engine != nil, slot.kind == kind { return slot.clear() }
        slot.fed = []
        // First the old memory goes, then the new comes: never both.
        slot.engine = nil
        slot.kind = kind
        slot.engine = try Engine(
            model, limits.cache(of: request), in: workspace, reserve: kind.reserve,
            context: limits.context(of: request)?.cache)
    }

    /// Takes a slot back.
    ///
    /// - Parameter keeps: whether it stays in the prefix cache.
    func giveBack(_ slot: ServingSlot, keeps: Bool) {
        uses += 1
        slot.lastUse = uses
        slot.isBusy = false
        if !keeps { slot.clear() }
    }

    /// Gives slots that are kept behind contexts the scheduler's own kind of cache, so that nothing holds these contexts.
    func leave(_ contexts: Set<String>) {
        for slot in slots where !slot.isBusy && slot.kind.context.map(contexts.contains) == true {
            // Without memory for that the slot has none, which the next request mends.
            try? prepare(slot, for: ServingRequest(prompt: []))
        }
    }

    /// Puts a saved sequence into a slot.
    ///
    /// - Returns: its tokens.
    /// - Throws: ``SavedCacheError`` or ``ServingError`` if it is not one of this model and policy; the slot is then empty.
    func restore(_ slot: ServingSlot, from url: URL) throws -> Int {
        try prepare(slot, for: ServingRequest(prompt: []))
        uses += 1
        slot.lastUse = uses
        slot.fed = try slot.engine!.restoreSlot(from: url)
        return slot.fed.count
    }

    /// Writes what a slot holds to a file.
    ///
    /// - Throws: ``ServingError`` if that is not of the server's own policy, `GgmlError` if the file cannot be written.
    func save(_ slot: ServingSlot, to url: URL) throws -> Int {
        guard slot.kind == limits.defaultKind, let engine = slot.engine, !slot.fed.isEmpty else {
            throw ServingError(
                .invalidRequest, "slot \(slot.index) is empty, or has another policy than the server's or a context")
        }
        try engine.saveSlot(slot.fed, to: url)
        return slot.fed.count
    }

    // MARK: Figures

    /// Caches of ended answers that are kept for what may follow.
    var keptCount: Int { slots.count { !$0.isBusy && !$0.fed.isEmpty } }

    /// Bytes of the entries that hold something, and of what blocks without attention remember.
    var usedBytes: Int {
        slots.reduce(0) { sum, slot in
            guard let engine = slot.engine, engine.seen > 0 else { return sum }
            let statistics = engine.statistics
            return statistics.layers.reduce(sum + statistics.recurrentBytes) {
                $0 + $1.allocatedBytes * $1.used / max(1, $1.slots)
            }
        }
    }
}
