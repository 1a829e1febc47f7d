import Testing

@testable import MorphEval

@Suite("Metrics")
struct MetricTests {
    @Test("every LongBench dataset has the metric of the published table")
    func registry() {
        #expect(LongBenchDataset.allCases.count == 21)
        let names = LongBenchDataset.allCases.map(\.metric.name)
        #expect(names.count { $0 == "qa_f1_score" } == 7)
        #expect(names.count { $0 == "rouge_score" } == 4)
        #expect(names.count { $0 == "rouge_zh_score" } == 2)
        #expect(Set(names).count == 9)
        #expect(Set(AnswerMetric.all.map(\.name)).count == AnswerMetric.all.count)
        #expect(
            LongBenchDataset.allCases.filter(\.scoresFirstLineOnly).map(\.rawValue) == [
                "trec", "triviaqa", "samsum", "lsht",
            ])
    }

    @Test("grapheme clusters are never compared")
    func codePoints() async throws {
        #expect("e\u{301}" == "\u{E9}", "Swift holds these equal, Python does not")
        #expect(try await AnswerMetric.exactScore("e\u{301}", "\u{E9}") == 0)
        #expect(CodePoints("a\r\nb").contains("\n" as CodePoints))
        #expect(CodePoints("x e\u{301}").contains("e" as CodePoints))
    }

    @Test(
        "the length score falls on both sides",
        arguments: [
            (100, 100, 100.0), (100, 400, 0), (100, 1000, 0), (90, 30, 0), (100, 250, 50), (100, 50, 50), (0, 5, 0),
            (5, 0, 0),
            (0, 0, 0),
        ])
    func lengthScore(_ requested: Int, _ written: Int, _ expected: Double) {
        #expect(abs(LongWriterLengthScore.score(requested: requested, written: written) - expected) < 1e-9)
    }

    @Test("scores lie between 0 and 1, and a text is most similar to itself")
    func bounds() throws {
        let texts = try PythonFixture.shared.get().texts.map { CodePoints($0.text) }
        for metric in AnswerMetric.all where !metric.segmentsChinese {
            for (a, b) in zip(texts, texts.reversed()) {
                let score = metric.score(Comparison(prediction: a, reference: b, classes: [a, b])) ?? 0
                #expect((0...1).contains(score), "\(metric.name)")
            }
        }
        for text in texts {
            let same = Comparison(prediction: text, reference: text)
            #expect(CodeSimilarity.percentage(text, text) == 100)
            #expect(AnswerMetric.questionF1.score(same) == (text.normalizedAnswer().isEmpty ? 0 : 1))
            let hasSentence = text.split(separator: ".").contains { !$0.isEmpty }
            #expect(abs((AnswerMetric.rougeL.score(same) ?? -1) - (hasSentence ? 1 : 0)) < 1e-8)
        }
    }

    @Test("ten thousand characters are compared")
    func longTexts() {
        let a = (0..<10_000).map { UInt32(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13 & 63) }
        let b = (0..<10_000).map { UInt32(truncatingIfNeeded: $0 &* 2_246_822_519 >> 11 & 63) }
        #expect(SequenceMatcher(a, b).ratio() < 0.1)
        #expect(SequenceMatcher(a, a).ratio() == 1, "popular elements start no match, but the empty one grows")

        let words = String(repeating: "lorem ipsum dolor sit amet ", count: 180)
        let score = RougeL(recursionLimit: 991).score(
            prediction: CodePoints(words), reference: CodePoints(words + "consectetur"))
        #expect(score > 0.9)
    }

    @Test("RepoQA: a response without a code block is compared as it is")
    func repository() async throws {
        let functions = [
            RepoQAScorer.Candidate(name: "f", source: "def f ( x ) : return x + 1 # first"),
            RepoQAScorer.Candidate(name: "g", source: "def g ( x ) : return x - 1 # second"),
        ]
        let answers = [
            RepoQAScorer.Answer(prediction: functions[0].source + "</s>", functionName: "f"),
            RepoQAScorer.Answer(prediction: functions[0].source, functionName: "g"),
            RepoQAScorer.Answer(prediction: " ", functionName: "g"),
        ]
        let score = try await RepoQAScorer(finder: NoFunctionFinder())
            .score(answers, candidates: functions, language: "python")
        #expect(score == 0.5, "empty answers are left out")
    }

    @Test(
        "tree-sitter takes the function out of a code block",
        .enabled(if: PythonModule.hasTreeSitter, PythonModule.noTreeSitter))
    func functionFinder() async throws {
        let blocks = [["import os\n\ndef f(x):\n    return x\n\ny = 1\n"], [], ["x = 1\n", "def g():\n    pass\n"]]
        let found = try await TreeSitterFunctionFinder().firstFunctions(in: blocks, language: "python")
        #expect(found == ["def f(x):\n    return x", nil, "def g():\n    pass"])
    }

    @Test func unknownLanguage() async {
        await #expect(throws: EvaluationError.self) {
            try await TreeSitterFunctionFinder().firstFunctions(in: [], language: "cobol")
        }
    }
}

extension AnswerMetric {
    fileprivate static func exactScore(_ a: String, _ b: String) async throws -> Double {
        try await SharedContextMetric.exactMatch.score(prediction: a, reference: b)
    }
}

private struct NoFunctionFinder: FunctionFinder {
    func firstFunctions(in blocks: [[String]], language: String) async throws -> [String?] { blocks.map { _ in nil } }
}
