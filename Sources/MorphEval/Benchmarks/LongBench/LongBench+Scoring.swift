extension PredictionScorer {
    /// LongBench's `scorer`: for each sample the best score over its answers.
    func scoreLongBench(_ records: [JSONRecord], dataset name: String, metric: String?) async throws -> ScoreResult {
        guard let dataset = LongBenchDataset(rawValue: name) else {
            throw EvaluationError(.name, "'\(name)' is not a dataset of LongBench; name the right one")
        }
        // The published loop keeps the class names of the last line and uses them for every line.
        let classes = try records.last?.optionalTexts("all_classes").map(CodePoints.init(_:)) ?? []
        let samples = try records.map { record in
            let prediction = try CodePoints(record.prediction())
            return AnsweredQuestion(
                prediction: dataset.scoresFirstLineOnly ? prediction.firstLine : prediction,
                answers: try record.texts("answers").map(CodePoints.init(_:)), classes: classes)
        }
        let metric = try self.metric(named: metric, default: dataset.metric)
        let shares = try await bestScores(of: samples, by: metric)
        return ScoreResult(dataset: name, metric: metric.name, shares: shares)
    }

    /// The best score of each sample; all Chinese texts are segmented at once.
    func bestScores(of samples: [AnsweredQuestion], by metric: Metric) async throws -> [Double] {
        let texts = metric.segmentsChinese ? samples.flatMap { [$0.prediction] + $0.answers } : []
        let segmentation = try await Segmentation(of: texts, by: segmenter)
        return samples.map { $0.bestScore(by: metric, segmentation) }
    }
}

/// A prediction and the answers that count as right.
struct AnsweredQuestion: Sendable {
    let prediction: CodePoints
    let answers: [CodePoints]
    var classes: [CodePoints] = []

    /// The best score over the answers. An answer that makes the published metric raise an `IndexError` sets it back to
    /// 0, as in MorphKV's `eval.py`; the original stops there.
    func bestScore(by metric: Metric, _ segmentation: Segmentation = Segmentation()) -> Double {
        var best = 0.0
        for answer in answers {
            let comparison = Comparison(
                prediction: prediction, reference: answer, classes: classes, segmentation: segmentation)
            best = metric.score(comparison).map { max(best, $0) } ?? 0
        }
        return best
    }
}

extension JSONRecord {
    /// What the model wrote: `pred`, or `response` in files of this project.
    func prediction() throws -> String {
        try has("response") && !has("pred") ? text("response") : text("pred")
    }
}
