#if Server
/// The keys with which clients may use the server.
public struct APIKeys: Sendable {
    private let keys: [[UInt8]]

    /// Keys as text; empty ones are dropped.
    public init(_ keys: [String]) { self.keys = keys.map { Array($0.utf8) }.filter { !$0.isEmpty } }

    /// The lines of a file, without the white space around them.
    public init(lines text: String) {
        self.init(text.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } })
    }

    /// Whether there are none.
    public var isEmpty: Bool { keys.isEmpty }

    /// One of them; nil if there is none.
    var any: String? { keys.first.map { String(decoding: $0, as: UTF8.self) } }

    /// Whether a text is one of the keys.
    ///
    /// The time it takes depends on the length of the text only: every byte is compared with every key.
    func contains(_ text: some StringProtocol) -> Bool {
        let candidate = Array(text.utf8)
        var found: UInt8 = 0
        for key in keys {
            var difference: UInt8 = key.count == candidate.count ? 0 : 1
            for index in candidate.indices { difference |= candidate[index] ^ key[index % key.count] }
            // 1 if there is no difference, without a branch.
            found |= UInt8((UInt16(difference) &- 1) >> 15)
        }
        return found == 1
    }
}
#endif
