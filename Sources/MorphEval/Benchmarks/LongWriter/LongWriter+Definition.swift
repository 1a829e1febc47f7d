extension BenchmarkSource {
    /// LongWriter: requests for texts of a length.
    static let longWriter = BenchmarkSource(
        name: Benchmark.longWriter.rawValue, summary: "long texts of a given length; a clone of THUDM/LongWriter",
        datasets: LongWriter.Part.allCases.map(\.rawValue), defaultDataset: LongWriter.Part.write.rawValue
    ) { request, _ in
        guard let part = LongWriter.Part(rawValue: request.dataset) else {
            throw EvaluationError(.name, "'\(request.dataset)' is not a part of LongWriter")
        }
        return try LongWriter.samples(at: request.data, part: part).enumerated().map { index, sample in
            EvaluationSample(
                id: "\(part.rawValue)/\(index)", prompt: EvaluationPrompt(sample.prompt, usesChatTemplate: true),
                maximumNewTokens: sample.maximumNewTokens, answerField: .response,
                fields: [JSONMember]([
                    "prompt": .string(sample.prompt), "type": .string(sample.type), "length": .integer(sample.length),
                ]))
        }
    }
}
