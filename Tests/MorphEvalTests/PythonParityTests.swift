import Testing

@testable import MorphEval

/// Many random and nasty texts give what the published Python code gives.
@Suite("Parity with the published Python")
struct PythonParityTests {
    let fixture: PythonFixture

    init() throws { fixture = try PythonFixture.shared.get() }

    @Test(arguments: AnswerMetric.all.filter { !$0.name.hasPrefix("squad") }.map(\.name))
    func metric(_ name: String) throws {
        let metric = try #require(AnswerMetric.named(name))
        let cases = fixture.cases.filter { $0.metric == name }
        #expect(cases.count >= 20)
        let segmentation = fixture.segmentation()
        let known = Set(fixture.segmented.map { CodePoints($0.text) })
        for (index, one) in cases.enumerated() {
            let comparison = comparison(one, segmentation)
            // The longest Chinese texts are left to jieba itself.
            guard !metric.segmentsChinese || known.contains(comparison.prediction) else { continue }
            let score = metric.score(comparison)
            let isClose = score == one.score || abs((score ?? -1) - (one.score ?? -1)) < 1e-12
            #expect(isClose, "case \(index): \(score ?? -1) for \(one.prediction.debugDescription)")
        }
    }

    @Test("SQuAD's own names")
    func squad() {
        for one in fixture.cases where one.metric == "qa_f1_score" {
            let comparison = comparison(one)
            #expect(AnswerMetric.squadF1.score(comparison) == one.score)
            let isExact = comparison.prediction.normalizedAnswer() == comparison.reference.normalizedAnswer()
            #expect(AnswerMetric.squadExactMatch.score(comparison) == (isExact ? 1 : 0))
        }
    }

    @Test("what answers to RULER name")
    func namedThings() {
        #expect(fixture.named.count > 100)
        for one in fixture.named {
            let task = RulerTask(rawValue: one.task)
            let outputs = one.outputs.map(CodePoints.init(_:))
            let score = Ruler.score(CodePoints(one.answer), outputs: outputs, oneIsEnough: task?.oneIsEnough ?? false)
            // The published number is rounded to hundredths of a percent.
            #expect(abs(100 * score - one.score) < 0.0051, "\(one)")
        }
    }

    @Test("the letters of responses to LongBench v2")
    func letters() {
        #expect(fixture.letters.contains { $0.letter == nil } && fixture.letters.contains { $0.letter == "D" })
        for one in fixture.letters {
            let letter = LongBench2.choice(in: CodePoints(one.response)).map { String($0) }
            #expect(letter == one.letter, "\(one.response.debugDescription)")
        }
    }

    @Test("the longest Chinese texts", .enabled(if: PythonModule.hasJieba, PythonModule.noJieba))
    func longChineseTexts() async throws {
        let long = fixture.cases.filter { $0.metric == "rouge_zh_score" && $0.prediction.utf8.count > 2_000 }
        let texts = long.flatMap { [CodePoints($0.prediction), CodePoints($0.reference)] }
        let segmentation = try await Segmentation(of: texts, by: JiebaSegmenter())
        #expect(!long.isEmpty)
        for one in long {
            #expect(AnswerMetric.chineseRougeL.score(comparison(one, segmentation)) == one.score)
        }
    }

    private func comparison(_ one: PythonFixture.Case, _ segmentation: Segmentation = Segmentation()) -> Comparison {
        Comparison(
            prediction: CodePoints(one.prediction), reference: CodePoints(one.reference),
            classes: one.classes.map(CodePoints.init(_:)), segmentation: segmentation)
    }

    @Test func splittingAndStripping() {
        for one in fixture.texts {
            let text = CodePoints(one.text)
            #expect(text.words() == one.words.map(CodePoints.init(_:)))
            #expect(text.trimmed() == CodePoints(one.trimmed))
            #expect(text.firstLine == CodePoints(one.line))
            #expect(text.digitRuns() == one.digits.map(CodePoints.init(_:)))
            #expect(text.wordRuns().map(\.text) == one.runs.map(CodePoints.init(_:)))
            #expect(text.split(separator: ".") == one.dots.map(CodePoints.init(_:)))
        }
    }

    @Test func lowerCase() {
        for one in fixture.texts {
            #expect(CodePoints(one.text).lowercased() == CodePoints(one.lower), "\(one.text.debugDescription)")
        }
    }

    @Test func lengthsOfResponses() {
        for one in fixture.texts {
            #expect(LongWriterLengthScore.wordCount(of: one.text) == one.count, "\(one.text.debugDescription)")
        }
    }

    @Test func similarityOfFunctions() {
        for one in fixture.functions {
            let words = [one.candidate, one.reference].map { text in
                let words = CodePoints(text).words()
                return words.isEmpty ? [""] : words
            }
            #expect(abs(Bleu.score(words[0], words[1]) - one.similarity) < 1e-12)
        }
    }

    @Test func codeFences() {
        for one in fixture.fences {
            let blocks = CodeFence.blocks(of: CodePoints(one.text))
            #expect(blocks == one.blocks.map(CodePoints.init(_:)), "\(one.text.debugDescription)")
        }
    }

    /// Every code point that Python 3.11 knows is a space, digit, letter or capital here exactly if it is there.
    @Test(arguments: ["space", "digit", "word", "lower"])
    func characterClass(_ name: String) throws {
        let assigned = try fixture.scalars("assigned")
        let expected = try fixture.scalars(name)
        let differing = assigned.compactMap(Unicode.Scalar.init).filter { scalar in
            let holds =
                switch name {
                case "space": scalar.isPythonSpace
                case "digit": scalar.isPythonDigit
                case "word": scalar.isPythonWord
                default: CodePoints(scalars: [scalar]).lowercased() != CodePoints(scalars: [scalar])
                }
            return holds != expected.contains(scalar.value)
        }
        #expect(differing.isEmpty, "\(differing.map { String($0.value, radix: 16) }.sorted())")
    }
}
