/// One cache of the scheduler: empty, in use by a request, or kept after it as an entry of the prefix cache.
final class ServingSlot {
    /// What makes two caches interchangeable.
    struct Kind: Hashable {
        let policy: String
        let types: String
        /// Whether sequences may pin tokens.
        let pins: Bool
        /// The name of the context that its sequence follows.
        let context: String?
        /// Tokens that a growing cache has room for; 0 for caches of constant size.
        let reserve: Int
    }

    let index: Int
    /// nil only after memory ran short.
    var engine: Engine?
    var kind: Kind
    /// The tokens that the engine has seen; empty if it is cleared.
    var fed: [Token] = []
    var isBusy = false
    /// When it was last in use; larger is later.
    var lastUse = 0

    init(index: Int, engine: Engine, kind: Kind) {
        self.index = index
        self.engine = engine
        self.kind = kind
    }

    /// How many tokens of a request's prompt its cache has seen already; nil if it holds something else, or has other pins.
    ///
    /// At least one token is left to feed, because the logits after the prompt are needed.
    func matches(_ request: ServingRequest, _ wanted: Kind) -> Int? {
        let prompt = request.prompt
        guard !isBusy, let engine, kind == wanted, !fed.isEmpty, fed.count < prompt.count, prompt.starts(with: fed)
        else { return nil }
        return engine.cache.pins == pins(of: request).clamped(to: 0..<engine.seen) ? fed.count : nil
    }

    /// A request's pins that are still to come.
    func unseenPins(of request: ServingRequest) -> PinnedPositions {
        pins(of: request).clamped(to: (engine?.seen ?? 0)..<Int.max)
    }

    /// A request's pins, which were checked, as positions of the slot's sequence.
    private func pins(of request: ServingRequest) -> PinnedPositions {
        let pins = try? request.pins.positions(in: request.prompt.count)
        return (pins ?? PinnedPositions()).shifted(by: engine?.contextTokens ?? 0)
    }

    /// Slots of lower precedence are taken first: empty ones, then those that were not used for longest.
    var precedence: (Int, Int) { (fed.isEmpty ? -1 : lastUse, index) }

    /// Forgets what it holds.
    func clear() {
        fed = []
        engine?.clear()
    }
}
