extension CacheOptions {
    /// What happens beyond the context that the model was trained for.
    ///
    /// In caches of constant size the keys of old entries can be moved up, so that no token sees a distance that was never
    /// trained. Caches that grow keep their positions.
    public enum PositionLimit: Sendable, Hashable, LosslessStringConvertible {
        /// Positions grow for ever.
        case none
        /// From the end of the trained context on distances stay below three quarters of it, or up to all of it where the
        /// capacity needs more; where that is too little, or keys have too few bits to be moved, positions grow for ever.
        case trained
        /// Distances stay below so many tokens.
        case tokens(Int)

        /// Reads ``description``: `none`, `trained` or a number of tokens.
        public init?(_ description: String) {
            switch description {
            case "none": self = .none
            case "trained": self = .trained
            default:
                guard let tokens = Int(description), tokens > 0 else { return nil }
                self = .tokens(tokens)
            }
        }

        /// `none`, `trained` or a number of tokens.
        public var description: String {
            switch self {
            case .none: "none"
            case .trained: "trained"
            case .tokens(let tokens): String(tokens)
            }
        }
    }
}
