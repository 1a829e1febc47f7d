/// When a policy dropped each entry of a text; what was dropped never comes back.
struct EntryLifetimes {
    /// The first token that attended without the entry: `[layer][kvHead][token]`; the largest number if it was held to the
    /// end.
    private(set) var ends: [[[Int32]]]
    /// What was held last: `[layer][kvHead][entry]`, ascending.
    private var held: [[[Int]]]

    /// - Parameters:
    ///   - held: the positions that a prompt left, ascending: `[layer][kvHead][entry]`.
    ///   - tokens: of the text.
    ///   - prompt: tokens of the prompt.
    init(_ held: [[[Int]]], of tokens: Int, prompt: Int) {
        ends = held.map { $0.map { _ in Array(repeating: .max, count: tokens) } }
        self.held = held.map { $0.map { _ in Array(0..<prompt) } }
        note(held, at: prompt)
    }

    /// Notes what is held while a token attends.
    mutating func note(_ positions: [[[Int]]], at token: Int) {
        for (layer, heads) in positions.enumerated() {
            for (head, now) in heads.enumerated() {
                var next = 0
                for position in held[layer][head] {
                    while next < now.count, now[next] < position { next += 1 }
                    if next == now.count || now[next] != position { ends[layer][head][position] = Int32(token) }
                }
                held[layer][head] = now
            }
        }
    }
}
