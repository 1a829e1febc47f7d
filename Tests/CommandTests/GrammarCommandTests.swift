import Foundation
import TestSupport
import Testing

/// Answers of the command whose form a file prescribes.
@Suite struct GrammarCommandTests {
    private let folder: TemporaryFolder
    private let arguments = [
        "generate", "--threads", "1", "--model", Fixtures.stories.path, "Once upon a time", "-n", "99",
    ]

    init() throws { folder = try TemporaryFolder() }

    private func file(_ text: String) throws -> String {
        let url = folder.url.appending(path: UUID().uuidString)
        try Data(text.utf8).write(to: url)
        return url.path
    }

    @Test func anAnswerKeepsToTheFile() throws {
        let schema = try file(#"{"type": "array", "items": {"enum": ["Tom", "Lily"]}, "minItems": 2, "maxItems": 2}"#)
        let names = try Command.run(arguments + ["--json-schema", schema])
        let array = try JSONDecoder().decode([String].self, from: Data(names.output.utf8))
        #expect(array.count == 2 && Set(array).isSubset(of: ["Tom", "Lily"]) && names.status == 0)
        let grammar = try file("root ::= \" yes\" | \" no\"")
        let word = try Command.run(arguments + ["--grammar", grammar, "--ignore-eos"])
        #expect([" yes\n", " no\n"].contains(word.output) && word.status == 0, "\(word.errors)")
    }

    @Test("what gives no grammar is refused before anything is written")
    func refused() throws {
        for (flags, message) in [
            (["--grammar", try file("root ::= nothing")], "there is no rule 'nothing'"),
            (["--json-schema", try file("root ::= nothing")], "the schema gives no grammar"),
            (["--json-schema", try file("{}"), "--grammar", try file("{}")], "do not go together"),
            (["--grammar", "/nowhere"], "/nowhere"),
        ] {
            let result = try Command.run(arguments + flags)
            #expect(result.status != 0 && result.status < 128 && result.output.isEmpty)
            #expect(result.errors.contains(message), "\(result.errors)")
        }
    }
}
