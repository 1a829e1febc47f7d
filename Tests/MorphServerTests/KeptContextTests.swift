#if Server
import Foundation
import HTTPTypes
import MorphKV
import MorphServer
import TestSupport
import Testing

/// Contexts of a folder: in memory as far as they fit, and found by chats that begin with them.
@Suite struct KeptContextTests {
    // MARK: Memory

    @Test func theOnesThatNobodyUsedForLongestMakeRoom() async throws {
        var server = try ContextFolderServer()
        let bytes = try ["a", "b", "c"].map { try server.save($0, "\(ContextFolderServer.text) This was \($0).") }
        let most = bytes.max()! * 5 / 2
        server.options.contextFolder?.bytes = most
        try await server.run { client, _ in
            func resident() async throws -> [String] {
                let list = try await client.get("/v1/contexts").json
                #expect(try #require(list["resident_bytes"] as? Int) <= most)
                return (list["data"] as? [[String: Any]] ?? []).compactMap {
                    $0["resident"] as? Bool == true ? $0["id"] as? String : nil
                }
            }
            #expect(try await resident() == [])
            let first = try await client.ask("a")
            _ = try await client.ask("b")
            #expect(try await resident() == ["a", "b"])
            _ = try await client.ask("c")
            #expect(try await resident() == ["b", "c"])
            let again = try await client.ask("a")
            #expect(again.text == first.text && first.text?.isEmpty == false)
            #expect(try await resident() == ["a", "c"])
        }
    }

    @Test func whereAllAreInUseARequestForAnotherIsToldToComeAgain() async throws {
        var server = try ContextFolderServer()
        let bytes = try ["a", "b"].map { try server.save($0) }
        server.options.contextFolder?.bytes = bytes[0] * 3 / 2
        try await server.run { client, _ in
            let reader = try await client.stall("stories", prompt: " Ben was", #""morphkv":{"context":"a"},"#)
            let uses = try await client.context("a")["in_use"] as? Int
            #expect(uses ?? 0 > 0)
            let reply = try await client.ask("b")
            #expect(reply.status == 503 && reply.error["code"] as? String == "contexts_in_use", "\(reply.body)")
            #expect(reply.headers[.retryAfter] != nil)
            #expect(await reader.read(until: "data: [DONE]").contains("data: [DONE]"))
            try await wait(for: "its end") { try await client.context("a")["in_use"] as? Int == 0 }
            #expect(try await client.ask("b").status == 200)
        }
    }

    @Test func filesThatAreNoContextsOfThisServerAreSkippedAndSaid() async throws {
        let server = try ContextFolderServer()
        try server.save("good")
        let file = try Data(contentsOf: server.folder.url.appending(path: "good.gguf"))
        var damaged = file
        damaged[file.count / 2] ^= 1
        try server.folder.write(damaged, to: "damaged.gguf")
        try server.folder.write("no context at all", to: "foreign.gguf")
        try server.folder.write(file, to: "a name.gguf")
        try server.folder.write(file.prefix(file.count / 2), to: ".half.gguf.0123ABCD.part")
        try server.folder.write("mine", to: "notes.txt")
        try await server.run { client, scheduler in
            #expect(scheduler.servedContexts.map(\.name) == ["good"])
            for name in ["damaged.gguf", "foreign.gguf", "a name.gguf"] {
                #expect(scheduler.skippedContexts.contains { $0.hasPrefix(name) }, "\(scheduler.skippedContexts)")
            }
            #expect(scheduler.skippedContexts.count == 3)
            // What is not its own stays as it is.
            let taken = try await client.post("/v1/contexts", ["name": "foreign", "text": ContextFolderServer.text])
            #expect(taken.status == 409, "\(taken.body)")
            let names = try server.folder.names
            #expect(names.allSatisfy { !$0.hasSuffix(".part") })
            #expect(try await client.ask("good").status == 200)
        }
    }

    @Test func aFileThatIsDamagedMeanwhileFailsAndIsSaid() async throws {
        let server = try ContextFolderServer()
        try server.save("kite")
        try await server.run { client, _ in
            try server.folder.write("gone", to: "kite.gguf")
            let reply = try await client.ask("kite")
            #expect(reply.status == 409, "\(reply.body)")
            let state = try await client.context("kite")
            #expect(state["state"] as? String == "failed" && (state["error"] as? String)?.isEmpty == false)
            #expect(try await client.figure("morphkv_contexts_resident_bytes") == 0)
            #expect(try await client.compress("kite").json["state"] as? String == "ready")
            #expect(try await client.ask("kite").status == 200)
        }
    }

    // MARK: Being found

    private static func messages(_ text: String, system: String? = nil) -> [[String: String]] {
        (system.map { [["role": "system", "content": $0]] } ?? []) + [["role": "user", "content": text]]
    }

    private func found(_ reply: Reply) -> String? { (reply.json["morphkv"] as? [String: Any])?["context"] as? String }

    private func chat(_ client: ServerClient, _ messages: [[String: String]], _ morphkv: Any? = nil)
        async throws -> Reply
    {
        let more: [String: Any] = ["messages": messages]
        return try await client.chat("", 12, more.merging(morphkv.map { ["morphkv": $0] } ?? [:]) { $1 })
    }

    private func contextFound(_ client: ServerClient, _ messages: [[String: String]], _ morphkv: Any? = nil)
        async throws -> String?
    {
        try await found(chat(client, messages, morphkv))
    }

    @Test(.enabled(if: ChatTemplate.isAvailable, "llama.cpp's library common is not there"))
    func chatsThatBeginWithAContextFindIt() async throws {
        var server = try ContextFolderServer()
        server.template = try ChatTemplates.source("microsoft-phi-4")
        let text = ContextFolderServer.text
        try await server.run { client, _ in
            let made = try await client.compress("kite", ["messages": Self.messages(text)])
            let tokens = try #require(made.json["tokens"] as? Int)
            let asked = Self.messages(text + "\n\nWhere was Ben?")
            let reply = try await chat(client, asked)
            #expect(reply.status == 200 && found(reply) == "kite", "\(reply.body)")
            let usage = reply.json["usage"] as? [String: Any]
            let cached = (usage?["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int
            #expect(try #require(cached) >= tokens)
            let named = try await chat(client, Self.messages("Where was Ben?"), ["context": "kite"])
            #expect(reply.text == named.text && named.status == 200)
            let answer = ["role": "assistant", "content": reply.text ?? ""]
            let turns = asked + [answer, ["role": "user", "content": "And?"]]
            #expect(try await contextFound(client, turns) == "kite")
            // Whoever does not want that says so.
            #expect(try await contextFound(client, asked, ["context": false]) == nil)
            #expect(try await contextFound(client, asked, ["context": NSNull()]) == nil)
            let others = [text, "\(text) And more.\n\nWho?", "x\(text)\n\nWho?", "\(text.dropLast())?\n\nWho?"]
            for other in others {
                #expect(try await contextFound(client, Self.messages(other)) == nil, "\(other)")
            }
            // Another system message is another beginning.
            let system = Self.messages(text + "\n\nWho?", system: "You are brief.")
            #expect(try await contextFound(client, system) == nil)
        }
    }

    @Test(.enabled(if: ChatTemplate.isAvailable, "llama.cpp's library common is not there"))
    func aContextWithASystemMessageIsFoundBehindTheSameOneAndAfterARestart() async throws {
        var server = try ContextFolderServer()
        server.template = try ChatTemplates.source("microsoft-phi-4")
        let text = ContextFolderServer.text
        let asked = Self.messages(text + "\n\nWho?", system: "You are brief.")
        try await server.run { client, _ in
            let body: [String: Any] = ["name": "kite", "messages": Self.messages(text, system: "You are brief.")]
            #expect(try await client.post("/v1/contexts", body).status == 202)
            try await wait(for: "it") { try await client.context("kite")["state"] as? String == "ready" }
            #expect(try await contextFound(client, asked) == "kite")
        }
        try await server.run { client, _ in
            let again = try await contextFound(client, asked)
            #expect(again == "kite")
            #expect(try await contextFound(client, Self.messages(text + "\n\nWho?")) == nil)
        }
    }
}
#endif
