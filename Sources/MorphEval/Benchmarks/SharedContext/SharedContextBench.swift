public import Foundation

/// SCBench (arXiv 2412.10319), one JSON Lines file a task, in either published form:
/// - microsoft/SCBench: a `context` and `multi_turns` of `input` and `answer`; worded in its "multi-request" mode.
/// - Jang-Hyun/SCBench-preprocessed, which KVzip reads: `prompts`, the context first, and `ground_truth`. It is
///   published as Parquet and has to be written out as JSON Lines.
public enum SharedContextBench {
    /// Reads the samples of a task.
    ///
    /// - Parameters:
    ///   - url: A folder of files named after the tasks, or a file.
    ///   - task: The task, for instance "scbench_kv"; KVzip's shortened tasks end with "_tiny", "_short" or "_mid".
    public static func samples(at url: URL, task: String) throws -> [SharedContextSample] {
        let file = try BenchmarkFolder.file(["data/\(task).jsonl", "\(task).jsonl"], at: url)
        return try DataFile(file).lines().map { record in
            try record.has("prompts") ? preprocessed(record, task: task) : original(record, task: task)
        }
    }

    // MARK: Forms

    private static func preprocessed(_ record: JSONRecord, task: String) throws -> SharedContextSample {
        let prompts = try record.texts("prompts")
        let answers = try record.list("ground_truth")
        guard let context = prompts.first, prompts.count == answers.count + 1 else {
            throw record.problem("'prompts' is not a context and one question for each of 'ground_truth'")
        }
        let tasks = try record.optionalTexts("task")
        let names = try functionNames(record)
        let questions = try answers.enumerated().map { index, answer in
            try question(
                prompts[index + 1], answer: joinedAnswer(answer), task: task,
                kind: tasks.indices.contains(index) ? tasks[index] : nil,
                function: names.indices.contains(index) ? names[index] : nil, record)
        }
        return SharedContextSample(context: context, questions: questions, language: record.value["lang"]?.text)
    }

    private static func original(_ record: JSONRecord, task: String) throws -> SharedContextSample {
        let wording = SharedContextWording(task: task)
        let turns = try record.list("multi_turns")
        let context = try record.text(record.has("context") ? "context" : "input")
        let questions = try turns.map { turn in
            guard let answer = turn.value["answer"] else { throw turn.problem("'answer' is missing") }
            return try question(
                wording.question(turn), answer: joinedAnswer(answer, turn), task: task,
                kind: turn.value["task"]?.text, function: turn.value["name"]?.text, turn)
        }
        return SharedContextSample(
            context: try wording.context(context, firstTurn: turns.first), questions: questions,
            language: record.value["lang"]?.text)
    }

    // MARK: Parts

    private static func question(
        _ text: String, answer: String, task: String, kind: String?, function: String?, _ record: JSONRecord
    ) throws -> SharedContextSample.Question {
        let answer = task.contains("many_shot") ? try option(answer, in: text, record) : answer
        return SharedContextSample.Question(text, answers: [answer], task: kind, functionName: function)
    }

    /// The option "(A) text" of the letter A, which KVzip takes from the question.
    private static func option(_ letter: String, in question: String, _ record: JSONRecord) throws -> String {
        let mark = CodePoints("(\(letter))")
        let lines = CodePoints(question).split(separator: "\n")
        guard let line = lines.first(where: { $0.contains(mark) }) else {
            throw record.problem("the question has no option '(\(letter))'")
        }
        return line.trimmed().string
    }

    private static func functionNames(_ record: JSONRecord) throws -> [String?] {
        guard record.has("func_name") else { return [] }
        return try record.list("func_name").map { $0.value.text }
    }

    private static func joinedAnswer(_ record: JSONRecord) throws -> String {
        try joinedAnswer(record.value, record)
    }

    /// Several answers are joined with ", ", as KVzip's `load_scbench` does.
    private static func joinedAnswer(_ answer: JSONValue, _ record: JSONRecord) throws -> String {
        let parts = (answer.elements ?? [answer]).map(\.plainText)
        guard !parts.contains(nil) else { throw record.problem("an answer is neither a text nor a list of texts") }
        return parts.compactMap(\.self).joined(separator: ", ")
    }
}
