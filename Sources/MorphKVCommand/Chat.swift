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
    private var messages: [Tokenizer.Message]
    private var notice = LengthNotice()
    private let system: [Tokenizer.Message]

    /// Where a conversation begins.
    enum Beginning {
        case new(CacheOptions, system: String?)
        /// With the messages in this file and the session beside it.
        case saved(String)
    }

    init(_ model: Model, _ beginning: Beginning, options: GenerationOptions, threads: Int) async throws {
        guard let tokenizer = model.tokenizer else { throw ValidationError("the model has no tokenizer") }
        self.model = model
        self.threads = threads
        format = ChatFormat(tokenizer)
        var options = options
        options.stop += format.stops
        self.options = options
        switch beginning {
        case .new(let options, let system):
            cache = options
            messages = system.map { [Tokenizer.Message(role: "system", content: $0)] } ?? []
            session = try Session(model, cache: options, threads: threads, reserve: 4096)
        case .saved(let path):
            messages = try JSONDecoder().decode(
                [Tokenizer.Message].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
            session = try Session(contentsOf: Self.cacheFile(path), model: model, threads: threads)
            seen = session.savedTokens
            cache = await session.cacheOptions
        }
        system = messages.prefix { $0.role == "system" }.map(\.self)
    }

    private static func cacheFile(_ path: String) -> URL { URL(fileURLWithPath: path + ".gguf") }

    /// Asks the model and prints what it says.
    mutating func answer(_ text: String) async throws {
        let asked = messages + [Tokenizer.Message(role: "user", content: text)]
        var prompt = try format.tokens(asked)
        // What the session has seen is not fed again, unless the conversation reads differently now.
        if !seen.isEmpty, prompt.count > seen.count, prompt.starts(with: seen) {
            prompt.removeFirst(seen.count)
        } else {
            try await session.reset()
            seen = []
        }
        var answer = ""
        seen += prompt
        for try await piece in session.generate(tokens: prompt, options: options) {
            try Output.write(piece.text)
            answer += piece.text
            if let token = piece.token { seen.append(token) }
        }
        try Output.write("\n")
        try await notice.check(session)
        messages = asked + [Tokenizer.Message(role: "assistant", content: answer)]
    }

    mutating func command(_ name: String, _ argument: String?) async throws {
        switch name {
        case "/policy":
            if let argument { try change(to: PolicyRegistry.standard.policy(argument)) }
            try Output.write("\(cache.policy.specification)\n")
        case "/stats": try await Output.write(statistics())
        case "/history":
            for message in messages { try Output.write("\(message.role): \(message.content)\n") }
        case "/save":
            guard let argument else { throw ValidationError("/save needs the name of a file") }
            try await save(argument)
        case "/reset":
            try await session.reset()
            seen = []
            messages = system
        default: throw ValidationError("there is no command \(name); see `morphkv chat --help`")
        }
    }

    /// Goes on with another policy: the conversation is fed anew at the next turn.
    private mutating func change(to policy: any CachePolicy) throws {
        var new = cache
        new.policy = policy
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
            \(statistics.evicted) tokens evicted
            cache: \(Output.bytes(statistics.allocatedBytes))\n
            """
    }

    private func save(_ path: String) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try await session.save(to: Self.cacheFile(path), tokens: seen)
        try encoder.encode(messages).write(to: URL(fileURLWithPath: path), options: .atomic)
        try Output.write("\(messages.count) messages saved to \(path)\n")
    }
}
