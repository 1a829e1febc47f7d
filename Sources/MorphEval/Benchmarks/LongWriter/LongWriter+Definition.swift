extension BenchmarkDefinition {
    /// LongWriter: long answers of a requested length (THUDM/LongWriter).
    public static let longWriter: BenchmarkDefinition = {
        var benchmark = BenchmarkDefinition(
            name: "longwriter", summary: "long texts of a given length; a clone of THUDM/LongWriter",
            datasets: LongWriter.Part.allCases.map(\.rawValue), defaultDataset: LongWriter.Part.write.rawValue,
            scoring: .longWriter
        ) { request, _ in
            guard let part = LongWriter.Part(rawValue: request.dataset) else {
                throw EvaluationError(.name, "'\(request.dataset)' is not a part of LongWriter")
            }
            return try LongWriter.samples(at: request.data, part: part).enumerated().map { index, sample in
                EvaluationSample(
                    id: "\(part.rawValue)/\(index)", prompt: EvaluationPrompt(sample.prompt, usesChatTemplate: true),
                    maximumNewTokens: sample.maximumNewTokens, answerField: .response,
                    fields: [JSONMember]([
                        "prompt": .string(sample.prompt), "type": .string(sample.type),
                        "length": .integer(sample.length),
                    ]))
            }
        }
        benchmark.judging = .longWriter
        return benchmark
    }()
}

extension BenchmarkScoring {
    /// LongWriter's length score.
    static let longWriter = BenchmarkScoring(givesPercentages: true) { predictions in
        let scores = try predictions.records.map { record in
            let written =
                try record.has("response_length")
                ? record.integer("response_length")
                : LongWriterLengthScore.wordCount(of: record.text("response"))
            return try LongWriterLengthScore.score(requested: record.integer("length"), written: written)
        }
        return ("length_score", scores)
    }
}
