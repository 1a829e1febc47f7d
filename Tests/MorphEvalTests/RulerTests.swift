import Foundation
import MorphKV
import TestSupport
import Testing

@testable import MorphEval

/// RULER as its own scripts make it: two samples of each task from `prepare.py` (words as tokens, docs/data/story.txt in place of the
/// essays, small files of our own in the form of SQuAD's and HotpotQA's).
@Suite("RULER")
struct RulerTests {
    private static let folder = Fixtures.benchmarks.appending(path: "ruler")

    /// How many references a sample of a task has, and how its answer begins.
    private static let tasks: [(task: RulerTask, references: Int, beginning: String)] = [
        (.single1, 1, " mentioned in the provided text is"), (.single2, 1, " mentioned in the provided text is"),
        (.single3, 1, " mentioned in the provided text is"), (.multikey1, 1, " mentioned in the provided text is"),
        (.multikey2, 1, " mentioned in the provided text is"), (.multikey3, 1, " mentioned in the provided text is"),
        (.multivalue, 4, " mentioned in the provided text are"),
        (.multiquery, 4, " mentioned in the provided text are"), (.variableTracking, 5, ", they are: "),
        (.commonWords, 10, " the top 10 words that appear most often in the list are:"),
        (.frequentWords, 3, " the three most frequently appeared words are:"), (.squad, 2, " Answer:"),
        (.hotpotQA, 1, " Answer:"),
    ]

    @Test("files of all 13 tasks are read with the beginning of the answer, and answers get their share of the marks")
    func files() throws {
        #expect(Set(Self.tasks.map(\.task)) == Set(RulerTask.allCases))
        for (task, references, beginning) in Self.tasks {
            let samples = try Ruler.samples(of: task, at: Self.folder)
            #expect(samples.count == 2)
            for sample in samples {
                #expect(sample.outputs.count == references && Set(sample.outputs).count == references)
                #expect(
                    sample.prompt.lowercased().hasSuffix(beginning.lowercased()), "\(task): \(sample.prompt.suffix(90))"
                )
                for output in sample.outputs { #expect(sample.prompt.contains(output)) }
                let outputs = sample.outputs.map(CodePoints.init(_:))
                func score(_ answer: String) -> Double {
                    Ruler.score(CodePoints(answer), outputs: outputs, oneIsEnough: task.oneIsEnough)
                }
                #expect(score(" " + sample.outputs.joined(separator: ", ") + ".") == 1)
                #expect(score("\u{1}It is\n" + sample.outputs[0].uppercased()) >= 1 / Double(references))
                #expect(score("I do not know.") == 0)
            }
        }
    }

    @Test("the mean of 13 tasks stands beside the published one, which holds for the same share of the entries only")
    func publishedMean() async throws {
        let folder = try TemporaryFolder()
        var runs: [EvaluationRun] = []
        for ratio in ["0.5", "0.33"] {
            for task in RulerTask.allCases {
                runs.append(try await run(task, policy: "kvzip:ratio=\(ratio)", in: folder))
            }
        }
        var report = try EvaluationReport(runs)
        report.published = try PublishedFigures()
        let lines = report.markdown.split(separator: "\n").filter { $0.hasPrefix("| mean of 13 parts") }
        #expect(lines.count == 16, "two policies beside eight figures")
        let half = try #require(
            lines.first { $0.contains("ratio=0.5 | 96.15 [") && $0.contains("Instruct | kvzip:ratio=0.5 |") })
        #expect(half.contains("| 95.5 |") && half.contains("+0.65") && half.hasSuffix("| reproduced |"), "\(half)")
        #expect(lines.count { $0.hasSuffix("| reproduced |") } == 1)
        #expect(lines.count { $0.hasSuffix("| another policy |") } == 15)

        var incomplete = try EvaluationReport(Array(runs.prefix(12)))
        incomplete.published = try PublishedFigures()
        #expect(!incomplete.markdown.contains("mean of"), "twelve tasks are not the mean that was published")
    }

    /// A run in which everything is right but one answer of one task.
    private func run(_ task: RulerTask, policy: String, in folder: TemporaryFolder) async throws -> EvaluationRun {
        let samples = try BenchmarkDefinition.ruler.samples(
            .init(data: Self.folder, dataset: task.rawValue), TokenCodec.bytes)
        let answers = try Ruler.samples(of: task, at: Self.folder).map { $0.outputs.joined(separator: ", ") }
        let model = EchoModel { request in
            [task == .single1 && request.seed == 0 ? "?" : answers[Int(request.seed)]]
        }
        let settings = EvaluationSettings(
            benchmark: "ruler", dataset: task.rawValue, samples: samples, model: "Llama-3.1-8B-Instruct-Q8_0.gguf",
            modelFingerprint: "0", policy: policy, capacity: nil)
        let url = folder.url.appending(path: "\(task.rawValue)-\(policy.suffix(2)).jsonl")
        try await EvaluationRunner(model: model, settings: settings, samples: samples).run(to: url)
        return try await EvaluationRun(url)
    }
}
