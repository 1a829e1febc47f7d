extension PredictionScorer {
    /// LongWriter's length score.
    func scoreLongWriter(_ records: [JSONRecord], dataset: String?) throws -> ScoreResult {
        let scores = try records.map { record in
            let written =
                try record.has("response_length")
                ? record.integer("response_length") : LengthScore.wordCount(of: record.text("response"))
            return try LengthScore.score(requested: record.integer("length"), written: written)
        }
        return ScoreResult(
            dataset: dataset ?? Benchmark.longWriter.rawValue, metric: "length_score", percentages: scores)
    }

    /// LongGenBench's completion rate; its accuracies need a judge.
    func scoreLongGenBench(_ records: [JSONRecord], dataset: String?) throws -> ScoreResult {
        let rates = try records.map { record in
            let answer = try LongGenBenchAnswer(record)
            return answer.blocks.completionRate(expected: answer.sample.number)
        }
        return ScoreResult(
            dataset: dataset ?? Benchmark.longGenBench.rawValue, metric: "completion_rate", percentages: rates)
    }
}
