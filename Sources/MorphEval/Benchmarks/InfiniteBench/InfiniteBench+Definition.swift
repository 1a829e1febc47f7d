internal import Foundation

extension BenchmarkDefinition {
    /// ∞Bench: twelve tasks about texts of a hundred thousand tokens and more; prompts, answers and scores as its code has them for
    /// open models.
    public static let infiniteBench = BenchmarkDefinition(
        name: "infinitebench", summary: "∞Bench, texts of 100,000 tokens and more; a folder with its TASK.jsonl",
        datasets: InfiniteBenchTask.allCases.map(\.rawValue), defaultDataset: nil, scoring: .infiniteBench
    ) { request, _ in
        guard let task = InfiniteBenchTask(rawValue: request.dataset) else { return [] }
        let name = "\(task.rawValue).jsonl"
        let file = try BenchmarkFolder.file([name, "data/\(name)", "data/InfiniteBench/\(name)"], at: request.data)
        return try DataFile(file).records().enumerated().map { index, record in
            var fields = [JSONMember(name: "ground_truth", value: try task.label(record))]
            if let input = record.value["input"] { fields.append(JSONMember(name: "input", value: input)) }
            return EvaluationSample(
                id: "\(task.rawValue)/\(index)",
                prompt: EvaluationPrompt(try task.prompt(record), usesChatTemplate: false),
                maximumNewTokens: task.maximumNewTokens, answerField: .prediction, fields: fields)
        }
    }
}

extension BenchmarkScoring {
    /// The score of the task; a line has `pred` or `prediction`, and `ground_truth` or `label`, as published files have them.
    static let infiniteBench = BenchmarkScoring { predictions in
        guard let task = InfiniteBenchTask(rawValue: predictions.dataset) else {
            let names = InfiniteBenchTask.allCases.map(\.rawValue).joined(separator: ", ")
            throw EvaluationError(.name, "there is no task '\(predictions.dataset)'; there are: \(names)")
        }
        let scores = try predictions.records.map { record in
            let answer = try record.text(record.has("prediction") ? "prediction" : "pred")
            guard let label = record.value["ground_truth"] ?? record.value["label"] else {
                throw record.problem("'ground_truth' is missing")
            }
            return task.score(CodePoints(answer), label) ?? 0
        }
        return (task.metric, scores)
    }
}

extension InfiniteBenchTask {
    /// What the number is called.
    fileprivate var metric: String {
        switch self {
        case .summary: "rougeLsum"
        case .question, .chineseQuestion: "qa_f1_score"
        default: "accuracy"
        }
    }
}
