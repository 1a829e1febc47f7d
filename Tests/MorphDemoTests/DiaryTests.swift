import Foundation
import Testing

@testable import MorphDemo
@testable import MorphEval

/// The demo's prompts and scores against `Training/`, which `Fixtures/diary.py` ran.
@Suite struct DiaryTests {
    private let root: JSONRecord

    init() throws {
        let file = try #require(Bundle.module.url(forResource: "diary", withExtension: "json"))
        root = try DataFile(file).document()
    }

    @Test("a seed gives the prompts and checks that the training's generator gives")
    func samePromptsAsTheTraining() throws {
        for record in try root.list("tasks") {
            let task = DiaryTask(
                seed: UInt32(try record.integer("seed")), index: UInt32(try record.integer("index")))
            let expected = try LongGenBenchSample(record)
            #expect(task.sample == expected)
            #expect(try task.planWeeks.map(String.init) == record.texts("plan_weeks"))
        }
    }

    @Test("sixty prompts in a row begin, end and measure as the training's do")
    func manyPrompts() throws {
        for (index, record) in try root.list("prompts").enumerated() {
            let parts = try #require(record.value.elements)
            let prompt = DiaryTask(seed: 11, index: UInt32(index)).sample.prompt
            let lines = prompt.split(separator: "\n").map(String.init)
            #expect(prompt.count == parts[0].integer)
            #expect(lines[0] == parts[1].text && lines[lines.count - 3] == parts[2].text)
        }
    }

    @Test("correct and damaged answers score as the training's checker scores them")
    func sameScoresAsTheTraining() throws {
        let measures = try root.texts("measures").map { try #require(DiaryScore.CheckKind(rawValue: $0)) }
        for record in try root.list("tasks") {
            let task = DiaryTask(
                seed: UInt32(try record.integer("seed")), index: UInt32(try record.integer("index")))
            for answer in try record.list("answers") {
                let score = DiaryScore(try answer.text("answer"), to: task)
                #expect(try measures.map { "\(score.passed($0))" } == answer.texts("passed"))
                #expect(try measures.map { "\(score.checks($0))" } == answer.texts("checks"))
            }
        }
    }

    @Test("an unfinished answer is judged by the weeks it has reached")
    func unfinishedAnswers() throws {
        let record = try root.list("tasks")[0]
        let task = DiaryTask(seed: UInt32(try record.integer("seed")), index: UInt32(try record.integer("index")))
        let correct = try record.list("answers")[0].text("answer")
        let half = String(correct[..<(try #require(correct.range(of: "#*# Week 20:")).lowerBound)])
        let soFar = DiaryScore(half, to: task, upTo: 19)
        #expect(soFar.percent(.completion) == 100 && soFar.instructions.passed == soFar.instructions.checks)
        let whole = DiaryScore(half, to: task)
        #expect(whole.passed(.completion) == 19 && whole.checks(.completion) == task.sample.number)
        #expect(whole.instructions.checks > soFar.instructions.checks)
    }

    @Test("checks of several answers count alike")
    func sums() {
        let task = DiaryTask(seed: 1, index: 0)
        var sum = DiaryScore("", to: task)
        let weeks = sum.checks(.completion)
        sum += DiaryScore("", to: task)
        #expect(sum.checks(.completion) == 2 * weeks && sum.passed(.completion) == 2)
        #expect(DiaryScore().percent(.plan) == 0)
    }
}
