extension BenchmarkDefinition {
    /// RULER: needles, variables, frequent words and questions in texts of any length (NVIDIA/RULER). Prompts are as its files have
    /// them, chat template included if `prepare.py` was told one.
    public static let ruler = BenchmarkDefinition(
        name: "ruler", summary: "13 tasks; the folder that scripts/data/prepare.py of NVIDIA/RULER wrote",
        datasets: RulerTask.allCases.map(\.rawValue), defaultDataset: nil, scoring: .ruler
    ) { request, _ in
        let task = try RulerTask(named: request.dataset)
        return try Ruler.samples(of: task, at: request.data).enumerated().map { index, sample in
            EvaluationSample(
                id: "\(task.rawValue)/\(index)", prompt: EvaluationPrompt(sample.prompt, usesChatTemplate: false),
                maximumNewTokens: task.maximumNewTokens, answerField: .prediction,
                fields: [JSONMember](["outputs": JSONValue(sample.outputs)]))
        }
    }
}

extension BenchmarkScoring {
    /// RULER's `evaluate.py`; a file has one task's answers, `pred` and `outputs` in each line.
    static let ruler = BenchmarkScoring { predictions in
        let task = try RulerTask(named: predictions.dataset)
        let scores = try predictions.records.map { record in
            Ruler.score(
                CodePoints(try record.prediction()), outputs: try record.texts("outputs").map(CodePoints.init(_:)),
                oneIsEnough: task.oneIsEnough)
        }
        return (task.oneIsEnough ? "string_match_part" : "string_match_all", scores)
    }
}
