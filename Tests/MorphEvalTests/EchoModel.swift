import Foundation
import MorphEval
import Synchronization
import TestSupport

/// A model that answers at once with what a test tells it to; each byte is a token.
final class EchoModel: AnsweringModel {
    let codec = TokenCodec.bytes
    let contextLength: Int
    private let reply: @Sendable (EvaluationRequest) throws -> [String]
    private let log = Mutex<[EvaluationRequest]>([])

    init(contextLength: Int = 100_000, reply: @escaping @Sendable (EvaluationRequest) throws -> [String]) {
        self.contextLength = contextLength
        self.reply = reply
    }

    var requests: [EvaluationRequest] { log.withLock(\.self) }

    func tokens(of text: String, isBeginning: Bool) throws -> [Int32] {
        try (isBeginning ? [0] : []) + codec.encode(text)
    }

    func chatFrame(system: String?) throws -> ChatFrame {
        ChatFrame(head: (system.map { "<\($0)>" } ?? "") + "<user>", tail: "<answer>")
    }

    func answer(
        _ request: EvaluationRequest, progress: @escaping @Sendable (Int) -> Void
    ) async throws -> EvaluationAnswer {
        log.withLock { $0.append(request) }
        var answer = EvaluationAnswer()
        answer.parts = try reply(request).map { .init(text: $0, tokens: $0.utf8.count) }
        answer.promptTokens = ([request.system, request.context] + request.questions).reduce(0) { $0 + $1.count }
        answer.promptWasCut = request.promptWasCut
        answer.promptCacheBytes = 500
        answer.cacheBytes = 1000
        answer.peakBytes = 1500
        answer.decodeSeconds = 1
        progress(1)
        return answer
    }
}

extension [Int32] {
    /// The text of byte tokens, without the token that begins a text.
    var text: String { String(decoding: drop { $0 == 0 }.map { UInt8($0) }, as: UTF8.self) }
}

/// Small files of every benchmark, in their published formats.
enum SmallBenchmarks {
    /// Writes the files of a benchmark, or of one of its datasets (`name:dataset`), and returns what to name as its
    /// data.
    static func write(_ name: String, to folder: TemporaryFolder) throws -> URL {
        switch name {
        case "longbench": return try writeLongBench(to: folder)
        case "longwriter":
            return try folder.write(
                """
                {"prompt": "write 4 words", "type": "t", "length": 4}
                {"prompt": "write 4 more words", "type": "t", "length": 4}
                """, to: "longbench_write.jsonl")
        case "longgenbench":
            return try folder.write(
                """
                [{"prompt": "Plan. #*# Week 1", "prefix": "#*# Week 1", "type": "Week", "number": 2,
                  "checks_once": {"2": "fair", "1": "party"}, "checks_range": {"2": "rain"}, "checks_periodic": {}},
                 {"prompt": "Build. #*# Floor 1", "prefix": "#*# Floor 1", "type": "Floor", "number": 2,
                  "checks_once": {"2": "pool"}, "checks_range": {}, "checks_periodic": {"1": "lamp"}}]
                """, to: "Dataset_short.json")
        case "squad":
            return try folder.write(
                """
                {"data": [{"paragraphs": [{"context": "c", "qas": [
                  {"question": "q1", "answers": [{"text": "one"}, {"text": "1"}]},
                  {"question": "q2", "answers": [{"text": "two"}]}]}]}]}
                """, to: "squad.json")
        case "niah":
            try folder.write(String(repeating: "One two. Three four. ", count: 40), to: "essays/a.txt")
            return folder.url.appending(path: "essays")
        case "scbench":
            try folder.write(
                #"{"id": 1, "context": "ctx", "multi_turns": [{"input": "x?", "answer": "u"}, {"input": "y?", "answer": "v"}]}"#,
                to: "scbench_kv.jsonl")
            return folder.url
        case "scbench:scbench_repoqa":
            try folder.write(
                #"{"context": "code", "lang": "python", "multi_turns": [{"input": "f?", "answer": "def f(): pass", "name": "f"}]}"#,
                to: "scbench_repoqa.jsonl")
            return folder.url
        case _ where reviewed.contains(name):
            return try writeReviewed(name, to: folder)
        case "gsm8k:gsm":
            let story = String(repeating: "She eats 1. ", count: 10)
            return try folder.write(
                ##"{"question": "Ann has 12 eggs. \##(story)How many are left?", "answer": "12-10=2\n#### 2"}"##,
                to: "test.jsonl")
        default:
            return try folder.write(
                ##"{"question": "Ann has 3 eggs. She eats 1. How many are left?", "answer": "3-1=2\n#### 2"}"##,
                to: "test.jsonl")
        }
    }

    private static let reviewed: Set = [
        "longbench-v2", "ruler:niah_multivalue", "ruler:qa_1", "math", "math:aime", "infinitebench:longbook_choice_eng",
        "gpqa:diamond-x4",
    ]

    /// The benchmarks that reviewers ask for.
    private static func writeReviewed(_ name: String, to folder: TemporaryFolder) throws -> URL {
        switch name {
        case "longbench-v2":
            let choices = ##""choice_A": "a", "choice_B": "b", "choice_C": "c", "choice_D": "d""##
            let lines = [("1", "B", "easy", "long"), ("2", "D", "hard", "short")].map {
                id, answer, difficulty, length in
                ##"{"_id": "\##(id)", "context": " t ", "question": "q?", \##(choices), "answer": "\##(answer)", "##
                    + ##""difficulty": "\##(difficulty)", "length": "\##(length)"}"##
            }
            return try folder.write("[\(lines.joined(separator: ", "))]", to: "data.json")
        case "ruler:niah_multivalue":
            try folder.write(
                #"{"index": 0, "input": "12 34 which?", "answer_prefix": " They are", "outputs": ["12", "34"], "length": 9}"#,
                to: "ruler/niah_multivalue/validation.jsonl")
            return folder.url.appending(path: "ruler")
        case "ruler:qa_1":
            return try folder.write(#"{"input": "Where?", "outputs": ["Rome", "Paris"]}"#, to: "validation.jsonl")
        case "infinitebench:longbook_choice_eng":
            return try folder.write(
                #"{"context": "c", "input": "q?", "options": ["p", "q", "r", "s"], "answer": ["q"]}"#,
                to: "longbook_choice_eng.jsonl")
        case "gpqa:diamond-x4":
            return try folder.write(
                "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\n\"a, \"\"b\"\"\nc?\",1,2,3,4\n",
                to: "gpqa_diamond.csv")
        case "math":
            return try folder.write(##"{"problem": "1/2?", "answer": "\\frac{1}{2}", "level": 1}"##, to: "test.jsonl")
        default:
            return try folder.write(#"[{"ID": "2024-I-1", "Problem": "30+3", "Answer": 33}]"#, to: "aime.json")
        }
    }

    private static func writeLongBench(to folder: TemporaryFolder) throws -> URL {
        try folder.write(#"{"hotpotqa": "{context}|{input}"}"#, to: "lb/config/dataset2prompt.json")
        try folder.write(#"{"hotpotqa": 32}"#, to: "lb/config/dataset2maxlen.json")
        try folder.write("{}", to: "lb/config/model2maxlen.json")
        let lines = (0..<4).map {
            #"{"input": "q\#($0)", "context": "c", "answers": ["a\#($0)"], "length": 3, "all_classes": null}"#
        }
        try folder.write(lines.joined(separator: "\n"), to: "lb/data/hotpotqa.jsonl")
        return folder.url.appending(path: "lb")
    }

    /// The dataset of the small files.
    private static func dataset(_ name: String) -> String? {
        let parts = name.split(separator: ":")
        return parts.count > 1 ? String(parts[1]) : ["longbench": "hotpotqa", "scbench": "scbench_kv"][name]
    }

    /// The benchmark of `name` or `name:dataset`.
    static func benchmark(_ name: String) -> String { String(name.prefix { $0 != ":" }) }

    /// The samples of the small files.
    static func samples(_ name: String, in folder: TemporaryFolder) throws -> (String, [EvaluationSample]) {
        let source = try BenchmarkRegistry.standard.benchmark(benchmark(name))
        let dataset = try source.dataset(named: dataset(name))
        var request = BenchmarkDefinition.Request(data: try write(name, to: folder), dataset: dataset)
        request.lengths = [200, 400]
        request.depths = [0, 50, 100]
        return (dataset, try source.samples(request, .bytes))
    }

    /// The settings of a run.
    static func settings(_ name: String, _ dataset: String, _ samples: [EvaluationSample]) -> EvaluationSettings {
        EvaluationSettings(
            benchmark: benchmark(name), dataset: dataset, samples: samples, model: "echo", modelFingerprint: "0",
            policy: "full", capacity: nil)
    }
}
