import Foundation
import MorphEval
import TestSupport
import Testing

@Suite("Readers")
struct ReaderTests {
    @Suite("published files")
    struct Published {
        @Test func longWriter() throws {
            let folder = Fixtures.benchmarks.appending(path: "longwriter")
            #expect(try LongWriter.samples(at: folder).count == 120)
            #expect(try LongWriter.samples(at: folder, part: .writeEnglish).count == 60)
            let ruler = try LongWriter.samples(at: folder.appending(path: "longwrite_ruler.jsonl"))
            #expect(ruler.first?.length == 1000)
            #expect(ruler.first?.maximumNewTokens == 2000)
        }

        @Test func judge() throws {
            let judge = try LongWriter.judgePrompt(at: Fixtures.benchmarks.appending(path: "longwriter"))
            let prompt = judge.prompt(request: "Write $RESPONSE$", response: "e\u{301}")
            #expect(prompt.contains("<User Request>\n\nWrite e\u{301}\n\n</User Request>"))
            #expect(prompt.contains("<Response>\n\ne\u{301}\n\n</Response>"))
            #expect(!prompt.contains("$INST$"))
        }

        @Test("every LongBench dataset has a prompt and a length")
        func longBench() throws {
            let bench = try LongBench(at: Fixtures.benchmarks.appending(path: "longbench"))
            for dataset in LongBenchDataset.allCases {
                #expect(try bench.maximumNewTokens(of: dataset) >= 32)
            }
            #expect(bench.maximumPromptTokensOfModel["chatglm3-6b-32k"] == 31_500)
        }
    }

    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func longBench(prompt: String) throws -> LongBench {
        try folder.write(#"{"trec": "\#(prompt)"}"#, to: "config/dataset2prompt.json")
        try folder.write(#"{"trec": 64}"#, to: "config/dataset2maxlen.json")
        try folder.write("{}", to: "config/model2maxlen.json")
        try folder.write(
            """
            {"input": "{q}", "context": "c{input}", "answers": ["a"], "length": 3, "dataset": "trec", "language": "en", \
            "all_classes": ["a", "b"], "_id": "7"}
            """, to: "data/trec.jsonl")
        return try LongBench(at: folder.url)
    }

    @Test("prompts are filled once, braces in samples stay")
    func prompt() throws {
        let bench = try longBench(prompt: "{{x}} {context}|{input}")
        let sample = try #require(bench.samples(of: .trec).first)
        #expect(sample.classes == ["a", "b"])
        #expect(sample.id == "7")
        #expect(try bench.prompt(for: sample) == "{x} c{input}|{q}")
        #expect(throws: EvaluationError.self) { try bench.maximumNewTokens(of: .qasper) }
        #expect(throws: EvaluationError.self) { try bench.samples(of: .qasper) }
    }

    @Test("a gap that samples do not fill is an error", arguments: ["{other}", "{context", "}"])
    func malformedPrompt(_ prompt: String) {
        #expect(throws: EvaluationError.self) {
            let bench = try longBench(prompt: prompt)
            _ = try bench.samples(of: .trec).map(bench.prompt)
        }
    }

    @Test(
        "the middle of a long prompt is cut out",
        arguments: [
            (10, "abcdefghij"), (4, "abij"), (5, "abij"), (9, "abcdghij"), (1, ""), (0, ""),
        ])
    func truncation(_ maximum: Int, _ expected: String) throws {
        #expect(try TokenCodec.bytes.truncatedInTheMiddle("abcdefghij", maximumTokens: maximum) == expected)
    }

    @Test func squad() throws {
        let file = try folder.write(
            """
            {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "c", "qas": [
              {"id": "1", "question": "q1", "answers": [{"text": "a", "answer_start": 0}, {"text": "b", "answer_start": 1}]},
              {"id": "2", "question": "q2", "answers": [{"text": "c", "answer_start": 0}]}]}]}]}
            """, to: "squad.json")
        let sample = try #require(Squad.samples(at: file).first)
        #expect(sample.context == "c")
        #expect(sample.questions.map(\.text) == ["q1", "q2"])
        #expect(sample.questions.map(\.answers) == [["a", "b"], ["c"]])

        let broken = try folder.write(#"{"data": [{"paragraphs": [{"context": "c"}]}]}"#, to: "broken.json")
        let error = #expect(throws: EvaluationError.self) { try Squad.samples(at: broken) }
        #expect(error?.description.hasSuffix("broken.json: element 1: 'qas' is missing") == true)
    }

    @Test func gradeSchoolMath() throws {
        let file = try folder.write(
            ##"{"question": "Ann has 3 eggs. She eats 1. How many are left?", "answer": "3-1=2\n#### 2"}"##,
            to: "grade_school_math/data/test.jsonl")
        #expect(FileManager.default.fileExists(atPath: file.path))
        let problems = try GradeSchoolMath.problems(at: folder.url)
        #expect(problems[0].sharedContext.context == "Ann has 3 eggs. She eats 1.")
        #expect(problems[0].sharedContext.questions[0].text == "How many are left?")
        #expect(GradeSchoolMath.sharedContexts(problems) { $0.utf8.count }.isEmpty)
        #expect(GradeSchoolMath.sharedContexts(problems) { 3 * $0.utf8.count }.count == 1)
    }

    @Test("the needle goes behind the full stop before its depth")
    func needle() throws {
        try folder.write("One two. Three four. Five six. ", to: "essays/b.txt")
        try folder.write("Zero. ", to: "essays/a.txt")
        let hay = try NeedleHaystack(
            folder: folder.url.appending(path: "essays"), maximumLength: 60,
            needle: .init(text: "<N>", question: "q", answer: "a"), codec: .bytes)
        #expect(try hay.sample(length: 30, depth: 50).context == "Zero.<N> One two. Three four.")
        #expect(try hay.sample(length: 30, depth: 0).context == "<N>Zero. One two. Three four.")
        #expect(try hay.sample(length: 30, depth: 100).context == "Zero. One two. Three four. <N>")
        #expect(try hay.sample(length: 60, depth: 100).context.utf8.count == 60)
        #expect(try hay.sample(length: 30, depth: 10).questions.first?.answers == ["a"])
        #expect(throws: EvaluationError.self) { try NeedleHaystack(text: "", maximumLength: 5, codec: .bytes) }
        #expect(throws: EvaluationError.self) {
            try NeedleHaystack(folder: folder.url, maximumLength: 5, codec: .bytes)
        }
    }

    @Test func sharedContexts() throws {
        try folder.write(
            #"{"prompts": ["ctx", "Q\n(A) cat\n (B) dog "], "ground_truth": ["B"]}"#, to: "scbench_many_shot.jsonl")
        let options = try SharedContextBench.samples(at: folder.url, task: "scbench_many_shot")
        #expect(options.first?.questions.first?.answers == ["(B) dog"])

        try folder.write(
            #"{"id": 1, "context": "ctx", "multi_turns": [{"input": "key?", "answer": ["x", 7]}]}"#,
            to: "scbench_kv.jsonl")
        let values = try #require(SharedContextBench.samples(at: folder.url, task: "scbench_kv").first)
        #expect(values.context.hasSuffix("JSON object below.\n\nctx"))
        #expect(values.questions[0].answers == ["x, 7"])

        try folder.write(
            #"{"context": "1 2", "multi_turns": [{"input": "Find. The Largest number is", "answer": 2}]}"#,
            to: "scbench_mf.jsonl")
        let numbers = try #require(SharedContextBench.samples(at: folder.url, task: "scbench_mf").first)
        #expect(numbers.questions[0].text == "What is the largest number?\n\nFind. The Largest number is")
        #expect(numbers.context == "Find. The Largest number is\n\n1 2")
    }

    @Test(
        "KVzip's prompts",
        arguments: [("gsm", 512), ("squad", 256), ("needle", 32), ("scbench_mf_tiny", 32), ("scbench_kv", 96)])
    func sharedPrompts(_ task: String, _ length: Int) {
        #expect(SharedContextPrompt.maximumNewTokens(task: task) == length)
        #expect(SharedContextPrompt.query("q?", task: task).hasSuffix("Q: q?"))
        #expect(SharedContextPrompt.instruction(task: task).hasPrefix("Given the context, "))
    }
}

extension TokenCodec {
    /// Each byte is a token.
    static let bytes = TokenCodec(
        encode: { $0.utf8.map { Int32($0) } }, decode: { String(decoding: $0.map(UInt8.init), as: UTF8.self) })
}
