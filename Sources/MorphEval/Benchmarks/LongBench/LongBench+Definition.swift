extension BenchmarkDefinition {
    /// LongBench: 21 datasets in English, Chinese and code (THUDM/LongBench); prompts, lengths and chat templates as its
    /// `pred.py` has them.
    public static let longBench = BenchmarkDefinition(
        name: "longbench", summary: "21 datasets; a clone of THUDM/LongBench with its data",
        datasets: LongBenchDataset.allCases.map(\.rawValue), defaultDataset: nil, scoring: .longBench
    ) { request, _ in
        let dataset = try LongBenchDataset(named: request.dataset)
        let bench = try LongBench(at: request.data)
        let limit = try bench.maximumNewTokens(of: dataset)
        return try bench.samples(of: dataset).enumerated().map { index, sample in
            try EvaluationSample(
                id: "\(dataset.rawValue)/\(index)",
                prompt: EvaluationPrompt(
                    bench.prompt(for: sample), usesChatTemplate: dataset.usesChatTemplate),
                maximumNewTokens: limit, endsAfterLine: dataset.stopsAtNewline, answerField: .prediction,
                fields: [JSONMember]([
                    "answers": JSONValue(sample.answers),
                    "all_classes": sample.classes.isEmpty ? .null : JSONValue(sample.classes),
                    "length": .integer(sample.length),
                ]))
        }
    }
}

extension BenchmarkScoring {
    /// LongBench's `scorer`: for each sample the best score over its answers.
    static let longBench = BenchmarkScoring(metrics: AnswerMetric.longBench) { predictions in
        let dataset = try LongBenchDataset(named: predictions.dataset)
        let records = predictions.records
        // The published loop keeps the class names of the last line and uses them for every line.
        let classes = try records.last?.optionalTexts("all_classes").map(CodePoints.init(_:)) ?? []
        let samples = try records.map { record in
            let prediction = try CodePoints(record.prediction())
            return AnsweredQuestion(
                prediction: dataset.scoresFirstLineOnly ? prediction.firstLine : prediction,
                answers: try record.texts("answers").map(CodePoints.init(_:)), classes: classes)
        }
        let metric = try predictions.metric(default: dataset.metric)
        return (metric.name, try await predictions.bestScores(of: samples, by: metric))
    }
}

extension AnswerMetric {
    /// The metrics of LongBench's `metrics.py`.
    public static let longBench: [AnswerMetric] = [
        .questionF1, .chineseQuestionF1, .rougeL, .chineseRougeL, .classification, .retrieval, .chineseRetrieval,
        .count, .codeSimilarity,
    ]
}

extension LongBenchDataset {
    /// The dataset of a name.
    fileprivate init(named name: String) throws {
        guard let dataset = LongBenchDataset(rawValue: name) else {
            throw EvaluationError(.name, "'\(name)' is not a dataset of LongBench; name the right one")
        }
        self = dataset
    }
}
