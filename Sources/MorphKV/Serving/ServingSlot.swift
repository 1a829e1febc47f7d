/// One cache of the scheduler: empty, in use by a request, or kept after it as an entry of the prefix cache.
final class ServingSlot {
    /// What makes two caches interchangeable.
    struct Kind: Hashable {
        let policy: String
        let types: String
        /// Whether sequences may pin tokens.
        let pins: Bool
        /// What tells the context that its sequence follows from others, of that name too.
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
    /// At least one token is left to feed, because the logits after the prompt are needed. A cache that holds everything can
    /// go back to where the prompt and what it has seen part, which gives up what came after that.
    func matches(_ request: ServingRequest, _ wanted: Kind) -> Int? {
        let prompt = request.prompt
        guard request.usesKeptCaches, !request.scoresPrompt, !isBusy, let engine, kind == wanted, !fed.isEmpty
        else { return nil }
        let common = zip(fed, prompt).prefix { $0 == $1 }.count
        let count = min(common, prompt.count - 1)
        let place = engine.contextTokens + count
        guard count > 0, count == fed.count || engine.cache.canTruncate(to: place) else { return nil }
        let held = engine.cache.pins.clamped(to: 0..<place)
        return held == pins(of: request).clamped(to: 0..<place) ? count : nil
    }

    /// Goes back to where it had seen so many tokens of its sequence.
    func truncate(to count: Int) {
        guard let engine, count < fed.count else { return }
        engine.cache.truncate(to: engine.contextTokens + count)
        fed.removeSubrange(count...)
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
