internal import ArgumentParser
internal import Foundation
internal import MorphKV

/// One message of a conversation, as it is saved.
struct ChatTurn: Codable {
    var role: String
    var content: String
    /// Whether it was said to be pinned; nil if nothing was said.
    var pinned: Bool?

    var message: Tokenizer.Message { Tokenizer.Message(role: role, content: content) }
}

/// Which tokens of a conversation are pinned: those of the turns that say so, and of the system messages it begins with.
final class ChatPins {
    private let format: ChatFormat
    /// Nil pins what fits.
    private let pinsSystem: Bool?
    private var isSaid = false

    init(format: ChatFormat, pinsSystem: Bool?) {
        self.format = format
        self.pinsSystem = pinsSystem
    }

    /// - Parameters:
    ///   - tokens: the whole conversation's.
    ///   - isBeginning: whether nothing of it was said to the model yet; the system messages are pinned then.
    ///   - room: how many tokens can be pinned; nil if all can.
    func ranges(of turns: [ChatTurn], tokens: [Token], isBeginning: Bool, room: Int?) throws -> [Range<Int>] {
        let messages = turns.map(\.message)
        var ranges = try turns.indices.filter { turns[$0].pinned == true }.map {
            try format.range(of: $0..<$0 + 1, in: tokens, of: messages)
        }
        let system = turns.prefix { $0.role == "system" }.count
        guard isBeginning, pinsSystem ?? true, system > 0 else { return ranges }
        let whole = try format.range(of: 0..<system, in: tokens, of: messages)
        guard pinsSystem == nil, let room else { return ranges + [whole] }
        let pinned = whole.prefix(max(0, room - ranges.reduce(0) { $0 + $1.count }))
        if pinned.count < whole.count, !isSaid {
            isSaid = true
            try Output.write(
                "note: the system message has \(whole.count) tokens, of which \(pinned.count) fit as pinned\n",
                to: .standardError)
        }
        ranges.append(pinned)
        return ranges
    }
}

/// How many of a prompt's first tokens are pinned.
struct PinnedBeginning: ExpressibleByArgument {
    let pins: PromptPins

    /// Reads a number, or "all".
    init?(argument: String) {
        if argument == "all" {
            pins = .whole
        } else if let count = Int(argument), count >= 0 {
            pins = .ranges([0..<count])
        } else {
            return nil
        }
    }
}
