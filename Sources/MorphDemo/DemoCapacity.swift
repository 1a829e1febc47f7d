package import MorphKV

/// How much a cache may keep: entries per KV head, a share of the response that a full cache writes, or bytes.
package enum DemoCapacity: Sendable, Hashable, CustomStringConvertible {
    /// That many entries.
    case entries(Int)
    /// A share of what the same model writes to the same prompt with a full cache: of its tokens, or of their bytes.
    case share(Int, of: Int)
    /// That many bytes, everything counted.
    case bytes(Int)

    /// Reads "128" or "1/8"; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard parts.count <= 2, parts.allSatisfy({ $0 > 0 }) else { return nil }
        self = parts.count == 1 ? .entries(parts[0]) : .share(parts[0], of: parts[1])
    }

    /// What a number of bytes is, or a share of them.
    package init(_ budget: ByteBudget) {
        switch budget {
        case .bytes(let count): self = .bytes(count)
        case .share(let part, let whole): self = .share(part, of: whole)
        }
    }

    /// "128", "1/8" or "64000 bytes".
    package var description: String {
        switch self {
        case .entries(let count): "\(count)"
        case .share(let part, let whole): "\(part)/\(whole)"
        case .bytes(let count): "\(count) bytes"
        }
    }

    /// Fewer entries than this have no room for a policy's window.
    private static let least = 16

    /// The number of entries for a response of that many tokens; of a share at least 16. What bytes have room for depends on
    /// the policy (``DiaryWriter/entries(of:_:forResponse:)``); here it is the whole response.
    package func entries(forResponse tokens: Int) -> Int {
        switch self {
        case .entries(let count): count
        case .share(let part, let whole): max(Self.least, tokens * part / whole)
        case .bytes: max(Self.least, tokens)
        }
    }

    /// Whether it depends on how long the response is.
    package var isShare: Bool {
        if case .share = self { true } else { false }
    }

    /// Whether it is a number of bytes.
    package var isBytes: Bool {
        if case .bytes = self { true } else { false }
    }
}
