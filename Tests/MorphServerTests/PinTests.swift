#if Server
import Foundation
import HTTPTypes
import Logging
import MorphKV
import MorphServer
import Synchronization
import TestSupport
import Testing

/// System prompts and messages that are pinned.
@Suite struct PinTests {
    private static var options: ServingOptions {
        var options = TestServer.options
        options.cache.pins = true
        return options
    }

    private static let chat = "/v1/chat/completions"

    private static func message(_ role: String, _ content: String, pin: Bool? = nil) -> [String: Any] {
        var message: [String: Any] = ["role": role, "content": content]
        if let pin { message["morphkv"] = ["pin": pin] }
        return message
    }

    /// An answer as a message; the format has a space before it.
    private static func said(_ reply: Reply) -> [String: Any] {
        message("assistant", (reply.text ?? "").trimmingCharacters(in: .whitespaces))
    }

    private static func body(_ messages: [[String: Any]], _ more: [String: Any] = [:]) -> [String: Any] {
        ["messages": messages, "max_tokens": 30, "temperature": 0].merging(more) { $1 }
    }

    private static func pinned(_ reply: Reply) -> Int? {
        ((reply.json["morphkv"] as? [String: Any])?["cache"] as? [String: Any])?["pinned"] as? Int
    }

    private static func cached(_ reply: Reply) -> Int? {
        ((reply.json["usage"] as? [String: Any])?["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int
    }

    /// Tokens that a conversation begins with when its messages are those.
    private static func tokens(_ messages: [(String, String)]) throws -> Int {
        let tokenizer = try #require(try Model(contentsOf: Fixtures.stories).tokenizer)
        let format = ChatFormat(tokenizer)
        let conversation = messages.map { Tokenizer.Message(role: $0.0, content: $0.1) }
        return try format.range(of: 0..<messages.count, in: format.tokens(conversation), of: conversation).count
    }

    @Test("the system prompt is pinned unless somebody says otherwise, other messages only if they ask for it")
    func whatIsPinned() async throws {
        let (system, user) = ("You tell short stories.", "Tell one about a dog.")
        let first = try Self.tokens([("system", system)])
        let both = try Self.tokens([("system", system), ("user", user)])
        #expect(first > 5 && both > first + 5)
        for (pinsSystem, pins, expected) in [
            (true, [nil, nil], first), (false, [nil, nil], 0), (true, [false, nil], 0), (false, [true, nil], first),
            (true, [nil, true], both), (false, [nil, true], both - first), (true, [true, true], both),
            (true, [nil, false], first),
        ] as [(Bool, [Bool?], Int)] {
            try await TestServer.run(Self.options, configure: { $0.pinsSystem = pinsSystem }) { client, scheduler in
                let reply = try await client.post(
                    Self.chat,
                    Self.body([
                        Self.message("system", system, pin: pins[0]), Self.message("user", user, pin: pins[1]),
                    ]))
                #expect(reply.status == 200 && Self.pinned(reply) == expected, "\(reply.body)")
                #expect(scheduler.statistics.pinnedTokens == expected)
                let metrics = try await client.get("/metrics").body
                #expect(metrics.contains("\nmorphkv_pinned_tokens_total \(expected)\n"))
            }
        }
    }

    @Test("without a system prompt, and in plain completions, nothing is pinned")
    func nothingToPin() async throws {
        try await TestServer.run(Self.options) { client, _ in
            let (chat, completion) = (try await client.chat("Hello"), try await client.complete("Hello"))
            #expect(Self.pinned(chat) == 0 && Self.pinned(completion) == 0)
        }
    }

    @Test("a system prompt that does not fit is pinned as far as it does, which the log says once")
    func systemPromptsThatDoNotFit() async throws {
        let log = LogRecord()
        let system = String(repeating: "Once upon a time there was a dog. ", count: 25)
        try await TestServer.run(Self.options, logger: log.logger) { client, scheduler in
            let room = try #require(try scheduler.pinRoom())
            #expect(room == 128 - 16 - 1)
            for turn in 0..<2 {
                let messages = [Self.message("system", system), Self.message("user", "Hello \(turn)")]
                let reply = try await client.post(Self.chat, Self.body(messages))
                #expect(reply.status == 200 && Self.pinned(reply) == room, "\(reply.body)")
            }
            let whole = try Self.tokens([("system", system)])
            #expect(whole > room)
            #expect(log.texts.count { $0.contains("\(whole) tokens") && $0.contains("first \(room)") } == 1)
            // What was asked for is pinned whole; the system prompt gets what is left.
            let asked = [Self.message("system", system), Self.message("user", "A red kite.", pin: true)]
            let reply = try await client.post(Self.chat, Self.body(asked))
            #expect(reply.status == 200 && Self.pinned(reply) == room, "\(reply.body)")
        }
    }

    @Test("a message that is to be pinned and does not fit is refused with the numbers")
    func messagesThatDoNotFit() async throws {
        let long = String(repeating: "Once upon a time there was a dog. ", count: 25)
        try await TestServer.run(Self.options) { client, _ in
            for messages in [
                [Self.message("user", long, pin: true)], [Self.message("system", long, pin: true)],
                [Self.message("user", "Hi", pin: true), Self.message("assistant", long, pin: true)],
            ] {
                let reply = try await client.post(Self.chat, Self.body(messages))
                #expect(reply.status == 400 && reply.error["param"] as? String == "morphkv", "\(reply.body)")
                #expect((reply.error["message"] as? String)?.contains("111 fit") == true, "\(reply.body)")
            }
            let snapkv = Self.body(
                [Self.message("user", "Hi", pin: true)],
                ["morphkv": ["policy": "snapkv:promptCapacity=64"], "max_tokens": 4])
            #expect(try await client.post(Self.chat, snapkv).status == 400)
            let many = Array(repeating: Self.message("user", "a", pin: true), count: 65)
            let reply = try await client.post(Self.chat, Self.body(many))
            #expect(reply.status == 400 && reply.error["param"] as? String == "messages", "\(reply.body)")
            let raw = #"{"messages":[{"role":"user","content":"x","morphkv":{"pin":"yes"}}]}"#
            #expect(try await client.post(Self.chat, raw: raw).error["param"] as? String == "messages[0].morphkv.pin")
        }
        // Caches that were not made for pins.
        try await TestServer.run { client, _ in
            let reply = try await client.post(Self.chat, Self.body([Self.message("user", "Hi", pin: true)]))
            #expect(reply.status == 400 && (reply.error["message"] as? String)?.contains("without pins") == true)
            let system = [Self.message("system", "Be short."), Self.message("user", "Hi")]
            let other = try await client.post(Self.chat, Self.body(system))
            #expect(other.status == 200 && Self.pinned(other) == 0)
        }
    }

    @Test("the next turn goes on from its cache if the pins agree, else it is read anew")
    func conversations() async throws {
        try await TestServer.run(Self.options) { client, _ in
            var messages = [Self.message("system", "You tell stories."), Self.message("user", "Hello", pin: true)]
            let first = try await client.post(Self.chat, Self.body(messages))
            messages += [Self.said(first), Self.message("user", "And then?")]
            let next = try await client.post(Self.chat, Self.body(messages))
            #expect(Self.cached(next) ?? 0 > 30 && Self.pinned(next) == Self.pinned(first), "\(next.body)")
            messages += [Self.said(next), Self.message("user", "A red kite.", pin: true)]
            let third = try await client.post(Self.chat, Self.body(messages))
            #expect(Self.cached(third) ?? 0 > 60 && Self.pinned(third) ?? 0 > Self.pinned(first) ?? 0, "\(third.body)")
            messages[1] = Self.message("user", "Hello")
            let changed = try await client.post(Self.chat, Self.body(messages))
            #expect(Self.cached(changed) == 0 && Self.pinned(changed) ?? 0 < Self.pinned(third) ?? 0)
        }
    }

    @Test("beyond the trained context a chat goes on from its cache turn by turn, with the system prompt pinned")
    func endlessConversations() async throws {
        var options = Self.options
        options.maxPromptTokens = 2000
        options.cache.policy = MorphKVPolicy(capacity: 96, window: 16)
        try await TestServer.run(options) { client, _ in
            var messages = [Self.message("system", "You tell stories."), Self.message("user", "Hello")]
            var pins: Set<Int?> = []
            for turn in 0..<5 {
                let reply = try await client.post(Self.chat, Self.body(messages, ["max_tokens": 180]))
                let read = ((reply.json["usage"] as? [String: Any])?["prompt_tokens"] as? Int) ?? 0
                #expect(reply.status == 200, "\(reply.body)")
                pins.insert(Self.pinned(reply))
                // All but the new message, however far beyond the 512 tokens of the context.
                if turn > 0 { #expect(Self.cached(reply) ?? 0 > read - 40, "\(reply.body)") }
                if turn == 4 { #expect(read > 600) }
                messages += [Self.said(reply), Self.message("user", "And then?")]
            }
            #expect(pins.count == 1 && pins.first! ?? 0 > 5)
        }
    }

    @Test("long after it, the system prompt is in every layer, which the view shows")
    func views() async throws {
        for policy in ["morphkv", "streaming", "tova"] {
            try await TestServer.run(Self.options) { client, _ in
                let messages = [
                    Self.message("system", "You tell short stories about dogs."), Self.message("user", "Hello"),
                ]
                let reply = try await client.post(
                    Self.chat,
                    Self.body(
                        messages,
                        [
                            "stream": true, "max_tokens": 400, "logit_bias": ["1": -100, "2": -100],
                            "morphkv": ["view": 50, "policy": policy, "capacity": 64],
                        ]))
                let views = reply.events.compactMap { ($0["morphkv"] as? [String: Any])?["view"] as? [String: Any] }
                let last = try #require(views.last, "\(reply.body)")
                let pins = try #require(last["pins"] as? String)
                #expect(last["pinned"] as? Int ?? 0 > 10 && pins.hasPrefix("999"))
                for row in try #require(last["kept"] as? [String]) {
                    #expect(zip(pins, row).allSatisfy { $0 != "9" || $1 == "9" })
                }
            }
        }
    }

    @Test("messages lie one after the other, each with what stands around it")
    func ranges() throws {
        let tokenizer = try #require(try Model(contentsOf: Fixtures.stories).tokenizer)
        let format = ChatFormat(tokenizer)
        let messages = [("system", "Be short."), ("user", "Hello"), ("assistant", "Hi."), ("user", "Hello")].map {
            Tokenizer.Message(role: $0.0, content: $0.1)
        }
        let tokens = try format.tokens(messages)
        let ranges = try messages.indices.map { try format.range(of: $0..<$0 + 1, in: tokens, of: messages) }
        #expect(
            ranges[0].lowerBound == 0 && zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        for (range, message) in zip(ranges, messages) {
            #expect(tokenizer.decode(Array(tokens[range])).contains(message.content))
        }
        #expect(ranges[3].upperBound < tokens.count)
        #expect(try format.range(of: 1..<3, in: tokens, of: messages) == ranges[1].lowerBound..<ranges[2].upperBound)
    }
}

/// What a server logs.
private final class LogRecord: Sendable {
    private let record = Mutex<[String]>([])

    var texts: [String] { record.withLock { $0 } }

    var logger: Logger {
        Logger(label: "tests") { [self] _ in Handler { text in self.record.withLock { $0.append(text) } } }
    }

    private struct Handler: LogHandler {
        let add: @Sendable (String) -> Void
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.notice

        init(_ add: @escaping @Sendable (String) -> Void) { self.add = add }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { add("\(event.message)") }
    }
}
#endif
