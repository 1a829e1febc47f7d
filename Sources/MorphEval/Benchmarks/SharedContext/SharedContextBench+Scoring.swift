extension BenchmarkScoring {
    /// KVzip's tasks: for each context the mean over its questions, each by the metric of its task.
    static let sharedContexts = BenchmarkScoring(metrics: SharedContextMetric.all) { predictions in
        let dataset = predictions.dataset
        guard !dataset.contains("repoqa") else { return ("repoqa_pass@1", try await repositories(predictions)) }
        let standard = SharedContextMetric.metric(forTask: dataset)
        let shares = try predictions.records.map { record in
            let tasks = try record.optionalTexts("task")
            let scores = try record.answeredQuestions().enumerated().map { index, question in
                let metric =
                    tasks.indices.contains(index) ? SharedContextMetric.metric(forTask: tasks[index]) : standard
                return question.bestScore(by: metric)
            }
            return mean(scores)
        }
        return (standard.name, shares)
    }

    private static func repositories(_ predictions: PredictionSet) async throws -> [Double] {
        let scorer = RepoQAScorer(finder: predictions.finder)
        var shares: [Double] = []
        for record in predictions.records {
            let texts = try record.texts("preds")
            let functions = try record.texts("answers")
            let names = try record.list("func_name").map { $0.value.text ?? "" }
            let tasks = try record.optionalTexts("task")
            guard texts.count == functions.count, names.count == functions.count,
                tasks.isEmpty || tasks.count == functions.count
            else { throw record.problem("'preds', 'answers', 'func_name' and 'task' are not of the same length") }

            let answers = functions.indices.filter { tasks.isEmpty || tasks[$0].contains("repoqa") }.map {
                RepoQAScorer.Answer(prediction: texts[$0], functionName: names[$0])
            }
            let share = try await scorer.score(
                answers, candidates: zip(names, functions).map(RepoQAScorer.Candidate.init),
                language: record.text("lang"))
            guard predictions.dataset.contains("repoqa_and_kv") else {
                shares.append(share)
                continue
            }
            shares.append(mean([keyValueShare(texts, functions, tasks), share]))
        }
        return shares
    }

    /// The mean over the key-value questions of a context. As in the published code, an empty answer counts here
    /// whatever its question was.
    private static func keyValueShare(
        _ predictions: [String], _ references: [String], _ tasks: [String]
    ) -> Double {
        let scores = predictions.indices.compactMap { index -> Double? in
            let prediction = CodePoints(predictions[index])
            if prediction.withoutEndMark().trimmed().isEmpty { return 0 }
            guard tasks.indices.contains(index), tasks[index].contains("kv") else { return nil }
            return SharedContextMetric.include.score(
                Comparison(prediction: prediction, reference: CodePoints(references[index])))
        }
        return mean(scores)
    }
}
