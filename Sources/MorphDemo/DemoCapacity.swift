/// How many entries a KV head may hold: a number, or a share of the response that a full cache writes.
package enum DemoCapacity: Sendable, Hashable, CustomStringConvertible {
    /// That many entries.
    case entries(Int)
    /// A share of the tokens that the same model writes to the same prompt with a full cache.
    case share(Int, of: Int)

    /// Reads "128" or "1/8"; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard parts.count <= 2, parts.allSatisfy({ $0 > 0 }) else { return nil }
        self = parts.count == 1 ? .entries(parts[0]) : .share(parts[0], of: parts[1])
    }

    /// "128" or "1/8".
    package var description: String {
        switch self {
        case .entries(let count): "\(count)"
        case .share(let part, let whole): "\(part)/\(whole)"
        }
    }

    /// Fewer entries than this have no room for a policy's window.
    private static let least = 16

    /// The number of entries for a response of that many tokens; of a share at least 16.
    package func entries(forResponse tokens: Int) -> Int {
        switch self {
        case .entries(let count): count
        case .share(let part, let whole): max(Self.least, tokens * part / whole)
        }
    }

    /// Whether it depends on how long the response is.
    package var isShare: Bool {
        if case .share = self { true } else { false }
    }
}
