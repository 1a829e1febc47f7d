import Foundation
import TestSupport
import Testing

@testable import MorphEval

/// ∞Bench and GPQA give what their published code gives; `Fixtures/infinite.py` wrote the answers.
@Suite("Parity with the published ∞Bench and GPQA")
struct InfiniteParityTests {
    private let root: JSONRecord

    init() throws {
        let file = try #require(Bundle.module.url(forResource: "infinite", withExtension: "json"))
        root = try DataFile(file).document()
    }

    @Test("answers to every task of ∞Bench", arguments: InfiniteBenchTask.allCases)
    func scores(_ task: InfiniteBenchTask) throws {
        let cases = try root.list("cases").filter { try $0.text("task") == task.rawValue }
        #expect(cases.count > 100)
        #expect(cases.contains { $0.value["s"]?.double ?? 0 > 0 } && cases.contains { $0.value["s"]?.double == 0 })
        for one in cases {
            let (text, label) = (try one.text("p"), try #require(one.value["label"]))
            let (own, published) = (task.score(CodePoints(text), label), one.value["s"]?.double)
            #expect(
                own == published || abs((own ?? -1) - (published ?? -1)) < 1e-12, "\(text.debugDescription), \(label)")
        }
    }

    @Test("prompts, labels and limits of every task of ∞Bench", arguments: InfiniteBenchTask.allCases)
    func prompts(_ task: InfiniteBenchTask) throws {
        let one = try #require(root.list("samples").first { try $0.text("task") == task.rawValue })
        let sample = try one.record("sample")
        #expect(try task.prompt(sample) == one.text("prompt"))
        #expect(try task.label(sample) == one.value["label"])
        #expect(try task.maximumNewTokens == one.integer("limit"))
    }

    @Test("letters of responses to GPQA, and the order in which choices are shown")
    func choices() throws {
        for one in try root.list("letters") {
            let text = try one.text("p")
            let letter = GPQA.choice(in: CodePoints(text)).map(String.init)
            #expect(letter == one.value["letter"]?.text, "\(text.debugDescription)")
        }
        var random = MersenneTwister(seed: 0)
        for permutation in try root.texts("permutations") {
            #expect(random.permutation(4).map(String.init).joined() == permutation)
        }
        let sample = GPQA.Sample(
            question: "Which {one}?\nSay.", choices: ["a, b", "\"b\"", "c", "d\nd"], answer: "A")
        #expect(try sample.prompt == root.text("query"))
    }
}
