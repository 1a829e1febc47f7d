extension BenchmarkSource {
    /// LongBench: prompts, lengths and chat templates as its `pred.py` has them.
    static let longBench = BenchmarkSource(
        name: Benchmark.longBench.rawValue, summary: "21 datasets; a clone of THUDM/LongBench with its data",
        datasets: LongBenchDataset.allCases.map(\.rawValue), defaultDataset: nil
    ) { request, _ in
        guard let dataset = LongBenchDataset(rawValue: request.dataset) else {
            throw EvaluationError(.name, "'\(request.dataset)' is not a dataset of LongBench")
        }
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
