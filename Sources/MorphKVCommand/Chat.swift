internal import ArgumentParser
internal import Foundation
internal import MorphKV

/// A conversation and the session that holds it.
struct Chat {
    private let model: Model
    private let format: ChatFormat
    private let options: GenerationOptions
    private let threads: Int
    private var cache: CacheOptions
    private var session: Session
    /// The tokens that the session has seen, the last one of an answer included.
    private var seen: [Token] = []
    private var turns: [ChatTurn]
    private let pins: ChatPins
    private var notice = LengthNotice()
    private let system: [ChatTurn]

    /// Where a conversation begins.
    enum Beginning {
        case new(CacheOptions, system: String?)
        /// With the messages in this file and the session beside it.
        case saved(String)
    }

    /// - Parameters:
    ///   - template: a chat template in Jinja, in place of the model's own.
    ///   - pinsSystem: whether system messages are pinned; nil pins what fits of them.
    init(
        _ model: Model, _ beginning: Beginning, template: String? = nil, pinsSystem: Bool?, options: GenerationOptions,
        threads: Int
    ) async throws {
        guard let tokenizer = model.tokenizer else { throw ValidationError("the model has no tokenizer") }
        self.model = model
        self.threads = threads
        format = ChatFormat(tokenizer, template: try template.map { try ChatTemplate(tokenizer, source: $0) })
        pins = ChatPins(format: format, pinsSystem: pinsSystem)
        var options = options
        options.stop += format.stops
        self.options = options
        switch beginning {
        case .new(let options, let system):
            cache = options
            turns = system.map { [ChatTurn(role: "system", content: $0)] } ?? []
            session = try Session(model, cache: options, threads: threads, reserve: 4096)
        case .saved(let path):
            turns = try JSONDecoder().decode([ChatTurn].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
            session = try Session(contentsOf: Self.cacheFile(path), model: model, threads: threads)
            seen = session.savedTokens
            cache = await session.cacheOptions
        }
        system = turns.prefix { $0.role == "system" }.map(\.self)
    }

    private static func cacheFile(_ path: String) -> URL { URL(fileURLWithPath: path + ".gguf") }

    /// Asks the model and prints what it says.
    ///
    /// - Parameter isPinned: whether the text is never dropped.
    mutating func answer(_ text: String, isPinned: Bool = false) async throws {
        let asked = turns + [ChatTurn(role: "user", content: text, pinned: isPinned ? true : nil)]
        var prompt = try format.tokens(asked.map(\.message))
        let tokens = prompt
        // What the session has seen is not fed again, unless the conversation reads differently now.
        if !seen.isEmpty, prompt.count > seen.count, prompt.starts(with: seen) {
            prompt.removeFirst(seen.count)
        } else {
            try await session.reset()
            seen = []
        }
        let known = seen.count
        let pinned = try await pins.ranges(
            of: asked, tokens: tokens, isBeginning: known == 0, room: session.pinRoom)
        let new = pinned.map { max(0, $0.lowerBound - known)..<max(0, $0.upperBound - known) }
        var answer = ""
        seen += prompt
        do {
            for try await piece in session.generate(tokens: prompt, options: options, pin: .ranges(new)) {
                try Output.write(piece.text)
                answer += piece.text
                if let token = piece.token { seen.append(token) }
            }
        } catch let error as CacheError where error.kind == .pins {
            // Nothing was fed: the conversation goes on without the message.
            seen.removeLast(prompt.count)
            throw error
        }
        try Output.write("\n")
        try await notice.check(session)
        turns = asked + [ChatTurn(role: "assistant", content: answer)]
    }

    mutating func command(_ name: String, _ argument: String?) async throws {
        switch name {
        case "/policy":
            if let argument { try change(to: PolicyRegistry.standard.policy(argument)) }
            try Output.write("\(cache.policy.specification)\n")
        case "/pin":
            guard let argument else { throw ValidationError("/pin needs the text of a message") }
            try await answer(argument, isPinned: true)
        case "/stats": try await Output.write(statistics())
        case "/history":
            for turn in turns { try Output.write("\(turn.role): \(turn.content)\n") }
        case "/save":
            guard let argument else { throw ValidationError("/save needs the name of a file") }
            try await save(argument)
        case "/reset":
            try await session.reset()
            seen = []
            turns = system
        default: throw ValidationError("there is no command \(name); see `morphkv chat --help`")
        }
    }

    /// Goes on with another policy: the conversation is fed anew at the next turn.
    private mutating func change(to policy: any CachePolicy) throws {
        var new = cache
        new.policy = policy
        new.pins = true
        session = try Session(model, cache: new, threads: threads, reserve: 4096)
        cache = new
        seen = []
    }

    private func statistics() async -> String {
        let statistics = await session.statistics
        return """
            \(statistics.policy)
            \(statistics.tokensSeen) tokens seen, \
            \(Output.slots(used: statistics.used, of: statistics.fewestSlots...statistics.slots)) slots per head used, \
            \(statistics.evicted) tokens evicted\(statistics.pinned > 0 ? ", \(statistics.pinned) pinned" : "")
            cache: \(Output.bytes(statistics.allocatedBytes))\n
            """
    }

    private func save(_ path: String) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try await session.save(to: Self.cacheFile(path), tokens: seen)
        try encoder.encode(turns).write(to: URL(fileURLWithPath: path), options: .atomic)
        try Output.write("\(turns.count) messages saved to \(path)\n")
    }
}
