#if Server
import Foundation
import HTTPTypes
import TestSupport
import Testing

/// Answers whose form a request prescribes.
@Suite struct StructuredAnswerTests {
    static var girl: [String: Any] {
        [
            "type": "object", "required": ["name", "age"], "additionalProperties": false,
            "properties": [
                "name": ["enum": ["Lily", "Zoe"]], "age": ["type": "integer", "minimum": 3, "maximum": 9],
            ],
        ]
    }

    /// The fields by which clients of OpenAI and of llama-server ask for the same.
    static var requests: [[String: Any]] {
        [
            ["response_format": ["type": "json_schema", "json_schema": ["name": "girl", "schema": girl]]],
            ["response_format": ["type": "json_object", "schema": girl]],
            ["json_schema": girl, "grammar": ""],
        ]
    }

    @Test("a schema is kept to, in chats and completions, whole and streamed", arguments: 0..<3)
    func schemas(index: Int) async throws {
        try await TestServer.run { client, _ in
            let extra = Self.requests[index].merging(["temperature": 1, "seed": index]) { $1 }
            let streamed = extra.merging(["stream": true]) { $1 }
            let replies = [
                try await client.chat("Who?", 100, extra), try await client.complete("Once", 100, extra),
                try await client.chat("Who?", 100, streamed),
            ]
            for (index, reply) in replies.enumerated() {
                let text = try #require(index == 2 ? reply.streamedText : reply.text, "\(reply.body)")
                let object = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
                #expect(["Lily", "Zoe"].contains(object["name"] as? String) && object.count == 2)
                #expect((3...9).contains(object["age"] as? Int ?? 0))
            }
        }
    }

    @Test func aGrammarIsKeptToAndAJSONObjectIsOne() async throws {
        try await TestServer.run { client, _ in
            let reply = try await client.complete("Once", 50, ["grammar": "root ::= \"yes\" | \"no\""])
            #expect(["yes", "no"].contains(reply.text) && reply.choices[0]["finish_reason"] as? String == "stop")
            let open = try await client.chat("Hello", 300, ["response_format": ["type": "json_object"]])
            #expect(open.text?.hasPrefix("{") == true)
            let free = try await client.chat("Hello", 5, ["response_format": ["type": "text"]])
            #expect(free.status == 200)
        }
    }

    @Test("what gives no grammar is refused with the field, never answered freely")
    func refused() async throws {
        try await TestServer.run { client, _ in
            let wrong: [(String, [String: Any])] = [
                ("grammar", ["grammar": "root ::= nothing"]),
                ("json_schema", ["json_schema": ["type": "nothing"]]),
                ("response_format", ["response_format": ["type": "xml"]]),
                (
                    "response_format",
                    ["response_format": ["type": "json_object", "schema": ["pattern": "(?=a)", "type": "string"]]]
                ),
                ("response_format", ["response_format": ["type": "json_object"], "grammar": "root ::= \"a\""]),
            ]
            for (field, extra) in wrong {
                let reply = try await client.complete("Once", 5, extra)
                #expect(reply.status == 400, "\(extra)")
                #expect((reply.json["error"] as? [String: Any])?["param"] as? String == field, "\(reply.body)")
            }
        }
    }
}
#endif
