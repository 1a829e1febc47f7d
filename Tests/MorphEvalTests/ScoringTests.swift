import Foundation
import MorphEval
import TestSupport
import Testing

@Suite("Scoring files")
struct ScoringTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func score(
        _ text: String, _ name: String, _ benchmark: BenchmarkDefinition, dataset: String? = nil, metric: String? = nil
    ) async throws -> PredictionScore {
        try await PredictionScorer().score(
            folder.write(text, to: name), benchmark: benchmark, dataset: dataset, metric: metric)
    }

    @Test(arguments: [
        ("hotpotqa_ws32_st31.0_len.jsonl", "hotpotqa"), ("passage_retrieval_en_ws1.jsonl", "passage_retrieval_en"),
        ("repobench-p.jsonl", "repobench-p"), ("multi_news_ws3_ws4.jsonl", "multi_news"),
    ])
    func datasetOfName(_ name: String, _ expected: String) {
        #expect(PredictionScorer.datasetName(of: URL(filePath: "/x.y_ws/\(name)")) == expected)
    }

    @Test("the best answer counts, and the name can be overridden")
    func bestAnswer() async throws {
        let line = #"{"pred": "a red cat", "answers": ["dog", "cat", "red cat"], "all_classes": null, "length": 9}"#
        let result = try await score(line + "\n\n" + line + "\r\n", "other_ws1.jsonl", .longBench, dataset: "qasper")
        #expect(result.perSample == [1, 1])
        #expect(result.score == 100)
    }

    @Test("only the first line after leading newlines counts where the prompt shows examples")
    func firstLine() async throws {
        let line = #"{"pred": "\n\nParis\nQuestion: London", "answers": ["Paris"], "all_classes": null}"#
        #expect(try await score(line, "triviaqa_ws1.jsonl", .longBench).perSample == [1])
        #expect(try await score(line, "hotpotqa_ws1.jsonl", .longBench).perSample[0] < 1)
    }

    @Test("the class names of the last line are used for every line")
    func classes() async throws {
        let lines = """
            {"pred": "cat", "answers": ["cat"], "all_classes": []}
            {"pred": "cat dog", "answers": ["dog"], "all_classes": ["cat", "dog"]}
            """
        #expect(try await score(lines, "trec_ws1.jsonl", .longBench).perSample == [1, 0.5])
    }

    @Test("an answer without a paragraph number sets the sample back to 0")
    func malformedAnswer() async throws {
        let line = #"{"pred": "Paragraph 7", "answers": ["Paragraph 7", "none"], "all_classes": null}"#
        #expect(try await score(line, "passage_retrieval_en_ws1.jsonl", .longBench).perSample == [0])
    }

    @Test func squad() async throws {
        let lines = """
            {"pred": "the Cat!", "answers": ["dog", "cat"]}
            {"preds": ["red cat", "dog"], "answers": [["cat", "x"], "dog"]}
            """
        let f1 = try await score(lines, "run.jsonl", .squad)
        #expect(f1.metric == "squad_f1")
        #expect(f1.perSample[0] == 1)
        #expect(abs(f1.perSample[1] - (2.0 / 3 + 1) / 2) < 1e-12)
        #expect(try await score(lines, "run.jsonl", .squad, metric: "squad_em").perSample == [1, 0.5])
    }

    @Test func gradeSchoolMath() async throws {
        let line = ##"{"pred": "So $1,234.", "answers": ["steps #### 1234"]}"##
        #expect(try await score(line, "run.jsonl", .gsm8k).perSample == [1])
        #expect(try await score(line, "run.jsonl", .gsm8k, metric: "gsm8k_strict").perSample == [0])
    }

    @Test("KVzip's tasks mix kinds of questions and take the mean of each context")
    func sharedContexts() async throws {
        let line = """
            {"preds": ["A cat sat. The end", "the key is 77!</s>"], "answers": ["A cat sat. The end", "77"], \
            "task": ["scbench_summary", "scbench_passkey"]}
            """
        let result = try await score(line, "scbench_summary_with_needles_ws1.jsonl", .scBench)
        #expect(result.dataset == "scbench_summary_with_needles")
        #expect(abs(result.perSample[0] - 1) < 1e-8)
    }

    @Test("RepoQA with key-value questions is the mean of both")
    func repositoriesWithKeys() async throws {
        let line = """
            {"preds": ["fn f ( a ) { a + 1 }", "value 9", ""], "answers": ["fn f ( a ) { a + 1 }", "9", "fn g ( ) { }"], \
            "task": ["scbench_repoqa", "scbench_kv", "scbench_repoqa"], "func_name": ["f", null, "g"], "lang": "rust"}
            """
        let result = try await score(line, "scbench_repoqa_and_kv.jsonl", .scBench)
        #expect(result.perSample == [0.75], "keys: 9 is right, the empty answer counts there too; functions: 1 of 1")
    }

    @Test("the result has exactly five keys")
    func json() throws {
        let result = try JSONDecoder().decode(
            PredictionScore.self,
            from: Data(#"{"dataset": "d", "metric": "m", "n": 0, "score": null, "perSample": []}"#.utf8))
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(result), as: UTF8.self)
        #expect(text == #"{"dataset":"d","metric":"m","n":0,"perSample":[],"score":null}"#)
    }

    @Test(
        "errors name the file and the line",
        arguments: [
            ("{\"pred\": \"x\"}", "run_ws1.jsonl", "hotpotqa", ":1: 'answers' is missing"),
            (
                "\n{\"pred\": \"x\", \"answers\": [\"y\"]}\n{\"pred\": 7, \"answers\": []}", "a.jsonl", "qasper",
                ":3: 'pred' is a number"
            ),
            (
                "{\"pred\": \"x\", \"answers\": [\"y\"]}\n{\"pred\": \"x", "a.jsonl", "qasper",
                ":2: not valid JSON: a text does not end"
            ),
            ("{}", "nothing_ws1.jsonl", nil, ": 'nothing' is not a dataset of LongBench"),
        ])
    func errors(_ text: String, _ name: String, _ dataset: String?, _ message: String) async throws {
        let error = await #expect(throws: EvaluationError.self) {
            try await score(text, name, .longBench, dataset: dataset)
        }
        #expect(error?.description.contains(name + message) == true, "\(error?.description ?? "")")
    }

    @Test func unknownMetric() async {
        await #expect(throws: EvaluationError.self) {
            try await score(#"{"pred": "", "answers": [""]}"#, "a.jsonl", .squad, metric: "bleurt")
        }
    }

    @Test func missingFile() async {
        let error = await #expect(throws: EvaluationError.self) {
            try await PredictionScorer().score(URL(filePath: "/no/such/file"), benchmark: .longBench)
        }
        #expect(error?.kind == .file)
    }
}
