internal import Foundation

/// How many bytes the cache of a sequence may take: a number, or a share of what the full cache takes at the sequence's end.
public enum ByteBudget: Sendable, Hashable {
    /// That many bytes.
    case bytes(Int)
    /// A share of the bytes of the full cache.
    case share(Int, of: Int)

    /// Reads "64000000", "64M", "1.5 GB", "512KiB" or "1/8"; nil for anything else, and for nothing at all.
    ///
    /// K, M, G and T count in thousands, Ki, Mi, Gi and Ti in 1024; a B may follow.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        if parts.count == 2 {
            guard parts.allSatisfy({ $0 > 0 }) else { return nil }
            self = .share(parts[0], of: parts[1])
            return
        }
        guard let match = text.wholeMatch(of: /([0-9]+(?:\.[0-9]+)?) ?(?:([KMGTkmgt])(i?))?[Bb]?/),
            let number = Double(match.1)
        else { return nil }
        let step: Double = match.3 == "i" ? 1024 : 1000
        let power = match.2.flatMap { "KMGT".firstIndex(of: Character($0.uppercased())) }
            .map { "KMGT".distance(from: "KMGT".startIndex, to: $0) + 1 }
        let bytes = (number * pow(step, Double(power ?? 0))).rounded(.down)
        guard bytes >= 1, bytes < 1e18 else { return nil }
        self = .bytes(Int(bytes))
    }

    /// Whether it depends on how long the sequence is.
    public var isShare: Bool {
        if case .share = self { true } else { false }
    }

    /// The bytes, where the full cache takes so many.
    public func bytes(ofFull full: Int) -> Int {
        switch self {
        case .bytes(let count): count
        case .share(let part, let whole):
            // Split, so that no product is too large.
            full / whole * part + (full % whole * part) / whole
        }
    }

    /// The bytes for a sequence that has so many tokens at its end. The full cache is counted by the keys and values of these
    /// tokens, without slots that are still empty, and what blocks without attention remember.
    ///
    /// - Throws: ``ModelError`` if the model cannot be described.
    public func bytes(_ model: Model, _ cache: CacheOptions, tokens: Int) throws -> Int {
        bytes(ofFull: try FullCacheCost(model, cache).bytes(of: tokens))
    }
}

extension ByteBudget: CustomStringConvertible {
    /// "64000000" or "1/8".
    public var description: String {
        switch self {
        case .bytes(let count): "\(count)"
        case .share(let part, let whole): "\(part)/\(whole)"
        }
    }
}
