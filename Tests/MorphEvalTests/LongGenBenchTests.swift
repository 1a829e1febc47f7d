import Foundation
import MorphEval
import TestSupport
import Testing

@Suite("LongGenBench")
struct LongGenBenchTests {
    @Suite("published sample", .enabled(if: SharedData.isPresent, SharedData.absence))
    struct Published {
        private static let file = SharedData.published.appending(
            path:
                "longgenbench/llama3.1-8b-instruct/preds_ns10_ws200_mc4000.0_ea1.0_morph_True_type_max_fused_lenNone.jsonl"
        )

        @Test func blocks() throws {
            let answer = try #require(LongGenBenchAnswer.read(Self.file).first)
            #expect(answer.sample.type == "Week")
            #expect(answer.sample.number == 52)
            #expect(answer.blocks.pieces.count == 45)
            #expect(answer.blocks.wordCount == 6340)
            #expect(answer.blocks.numbers == Array(1...44))
            #expect(answer.blocks.numbers.map { answer.blocks.pieceOfNumber[$0] } == Array(1...44))
        }

        @Test func completionRate() async throws {
            let result = try await PredictionScorer().score(Self.file, benchmark: .longGenBench)
            #expect(result.score == 84.61538461538461)
            #expect(result.metric == "completion_rate")
        }

        @Test("the judge's prompts are the published ones, byte for byte")
        func prompts() throws {
            let expected: [LongGenBenchSample.Group: (numbers: [Int], sha256: String)] = [
                .once: ([19, 38, 36, 30, 23], "422a5f989d8d9e502bbda569755a27de99c7280bf00028df462925f7f2db86c2"),
                .range: ([24, 25], "6d8e4cd3a2415d68aecb1c852ecaf6b993812b423fcd882d48be955fa3428920"),
                .periodic: (
                    [13, 18, 23, 28, 33, 38, 43], "1f274af849530ac830008ea2a989d007c1d3753c99aa2902cd0de9ecf00ed6a3"
                ),
            ]
            let answer = try #require(LongGenBenchAnswer.read(Self.file).first)
            for (group, wanted) in expected {
                let questions = answer.sample.questions(group, about: answer.blocks)
                #expect(questions.map(\.number) == wanted.numbers)
                let joined = questions.map(\.prompt).joined(separator: "\0")
                #expect(SHA256.hexadecimal(of: joined) == wanted.sha256, "\(group)")
            }
        }

        @Test func reader() throws {
            let file = SharedData.benchmarks.appending(path: "longgenbench/Dataset_short_20.json")
            let samples = try LongGenBench.samples(at: file)
            #expect(samples.count == 20)
            #expect(Set(samples.map(\.type)) == ["Week", "Floor", "Menu Week", "Block"])
            #expect(samples.allSatisfy { $0.prompt.hasSuffix($0.prefix) })
            #expect(samples[0].checks[.once]?.map(\.number) == [19, 38, 36, 30, 23])
            #expect(try LongGenBench.samples(at: file, samplesPerType: 2).count == 8)
        }
    }

    @Test("the first piece that names a number is its block")
    func firstPieceWins() {
        let blocks = LongGenBenchBlocks(
            response: "intro#*# Week 2: a#*# Week 1: b, after Week 7#*# Week 2: c#*# no number#*# Week ３: d",
            type: "Week")
        #expect(blocks.numbers == [2, 1, 3])
        #expect(blocks.block(2) == " Week 2: a")
        #expect(blocks.block(3) == " Week ３: d")
        #expect(blocks.block(7) == nil)
        #expect(blocks.completionRate(expected: 4) == 75)
    }

    @Test("a number that no machine integer holds is no block")
    func hugeNumber() {
        let blocks = LongGenBenchBlocks(response: "Floor 99999999999999999999999", type: "Floor")
        #expect(blocks.numbers.isEmpty)
        #expect(blocks.completionRate(expected: 0) == 0)
    }

    @Test func results() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            """
            [{"input": "p", "checks_once": {"2": "x"}, "checks_range": {}, "checks_periodic": {}, "type": "Menu Week",
              "number": 4, "output_blocks": ["", " Menu Week 1: a", " Menu Week 2: b"], "word_count": 9}]
            """, to: "result.json")
        let answer = try #require(LongGenBenchAnswer.read(file).first)
        #expect(answer.sample.questions(.once, about: answer.blocks).count == 1)
        #expect(answer.blocks.wordCount == 9)
        let result = try await PredictionScorer().score(file, benchmark: .longGenBench)
        #expect(result.perSample == [50])
    }

    @Test func accuracies() {
        let accuracy = LongGenBenchAccuracy(verdicts: [.once: [true, false, true, true], .range: [true]])
        #expect(accuracy.once == 0.75)
        #expect(accuracy.periodic == 0)
        #expect(abs(accuracy.average - 1.75 / 3) < 1e-12)
    }

    @Test(arguments: [("Yes.", true), ("no", false), (" YES", true), ("ye s", false), ("I'd say yesterday", true)])
    func verdict(_ answer: String, _ expected: Bool) { #expect(LongGenBenchCheck.isYes(answer) == expected) }
}
