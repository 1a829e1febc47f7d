import Foundation
import TestSupport
import Testing

@testable import MorphEval

@Suite("LongGenBench")
struct LongGenBenchTests {
    @Suite("samples of our own, put to the published scripts by Fixtures/longgenbench/make.py")
    struct Published {
        private static let file = Fixtures.longGenBench.appending(path: "prediction.jsonl")
        private let answer: LongGenBenchAnswer
        private let expected: JSONRecord

        init() throws {
            answer = try #require(LongGenBenchAnswer.read(Self.file).first)
            expected = try DataFile(Fixtures.longGenBench.appending(path: "expected.json")).document()
        }

        private func integers(_ name: String, in record: JSONRecord) throws -> [Int] {
            try #require(record.value[name]?.elements).compactMap(\.integer)
        }

        @Test func blocks() throws {
            let numbers = try integers("numbers", in: expected)
            #expect(answer.sample.type == "Week" && answer.sample.number == 52 && numbers.count == 43)
            #expect(try answer.blocks.pieces.count == expected.integer("blocks"))
            #expect(try answer.blocks.wordCount == expected.integer("words"))
            #expect(answer.blocks.numbers == numbers)
            #expect(try numbers.map { answer.blocks.pieceOfNumber[$0] } == integers("pieces", in: expected))
        }

        @Test func completionRate() async throws {
            let result = try await PredictionScorer().score(Self.file, benchmark: .longGenBench)
            #expect(try result.score == expected.double("completion_rate"))
            #expect(result.metric == "completion_rate")
        }

        @Test("the judge's prompts are the published ones, byte for byte", arguments: LongGenBenchSample.Group.allCases)
        func prompts(_ group: LongGenBenchSample.Group) throws {
            let wanted = try expected.record(group.rawValue)
            let questions = answer.sample.questions(group, about: answer.blocks)
            #expect(try questions.map(\.number) == integers("numbers", in: wanted))
            let joined = questions.map(\.prompt).joined(separator: "\0")
            #expect(try SHA256.hexadecimal(of: joined) == wanted.text("sha256"))
        }

        @Test func reader() throws {
            let file = Fixtures.longGenBench.appending(path: "dataset.json")
            let samples = try LongGenBench.samples(at: file)
            #expect(samples.count == 20)
            #expect(Set(samples.map(\.type)) == ["Week", "Floor", "Menu Week", "Block"])
            #expect(samples.allSatisfy { $0.prompt.hasSuffix($0.prefix) })
            #expect(samples[0].checks[.once]?.map(\.number) == [45, 4, 35, 9, 34])
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
