#if Server
internal import MorphKV

/// Which tokens of a chat's prompt are pinned: those of the messages that ask for it, and the system prompt.
struct PinnedMessages {
    /// How many messages may ask for it, since each costs a rendering of the conversation.
    static let limit = 64

    let format: ChatFormat
    /// Whether system messages that say nothing about it are pinned, as far as they fit.
    let pinsSystem: Bool

    /// What is pinned.
    struct Choice {
        var ranges: [Range<Int>] = []
        /// Tokens of the system prompt, and those of them that are pinned, where they are not all; nil if they are.
        var cut: (system: Int, pinned: Int)?
    }

    /// - Parameters:
    ///   - messages: as they were asked for.
    ///   - conversation: the same in the words of the library.
    ///   - input: the same with tools; nil if there are none.
    ///   - tokens: the whole conversation's.
    ///   - room: how many tokens can be pinned; nil if all can.
    /// - Throws: ``APIError`` when too many messages ask for it, `ModelError` when the template cannot be applied.
    func choose(
        _ messages: [ChatRequest.Message], _ conversation: [Tokenizer.Message], _ input: ChatInput?, tokens: [Token],
        room: Int?, isBehindContext: Bool
    ) throws -> Choice {
        let asked = messages.indices.filter { messages[$0].morphkv?.pin == true }
        guard asked.count <= Self.limit else {
            throw APIError.invalid("\(asked.count) messages are pinned; \(Self.limit) can be", param: "messages")
        }
        func range(_ part: Range<Int>) throws -> Range<Int> {
            if let input {
                return try format.range(of: part, in: tokens, of: input, isBehindContext: isBehindContext)
            }
            return try format.range(of: part, in: tokens, of: conversation, isBehindContext: isBehindContext)
        }
        var choice = Choice()
        for part in Self.runs(asked) { choice.ranges.append(try range(part)) }
        guard pinsSystem else { return choice }
        let system = zip(conversation, messages).prefix { $0.role == "system" && $1.morphkv?.pin == nil }.count
        guard system > 0 else { return choice }
        let whole = try range(0..<system)
        let left = room.map { max(0, $0 - choice.ranges.reduce(0) { $0 + $1.count }) } ?? whole.count
        let pinned = whole.prefix(left)
        if pinned.count < whole.count { choice.cut = (whole.count, pinned.count) }
        if !pinned.isEmpty { choice.ranges.insert(pinned, at: 0) }
        return choice
    }

    /// Numbers that follow each other, as ranges.
    private static func runs(_ numbers: [Int]) -> [Range<Int>] {
        numbers.reduce(into: []) { runs, number in
            if let last = runs.last, last.upperBound == number {
                runs[runs.count - 1] = last.lowerBound..<number + 1
            } else {
                runs.append(number..<number + 1)
            }
        }
    }
}
#endif
