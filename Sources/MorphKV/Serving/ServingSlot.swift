/// One cache of the scheduler: empty, in use by a request, or kept after it as an entry of the prefix cache.
final class ServingSlot {
    /// What makes two caches interchangeable.
    struct Kind: Hashable {
        let policy: String
        let types: String
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

    /// How many tokens of a prompt its cache has seen already; nil if it holds something else.
    ///
    /// At least one token is left to feed, because the logits after the prompt are needed.
    func matches(_ prompt: [Token], _ wanted: Kind) -> Int? {
        guard !isBusy, engine != nil, kind == wanted, !fed.isEmpty else { return nil }
        return fed.count < prompt.count && prompt.starts(with: fed) ? fed.count : nil
    }

    /// Slots of lower precedence are taken first: empty ones, then those that were not used for longest.
    var precedence: (Int, Int) { (fed.isEmpty ? -1 : lastUse, index) }

    /// Forgets what it holds.
    func clear() {
        fed = []
        engine?.clear()
    }
}
