extension PredictionScorer {
    /// SQuAD, GSM8K and the needle: for each question the best score over its answers, for each line their mean.
    func scoreQuestions(
        _ records: [JSONRecord], _ benchmark: Benchmark, dataset: String?, metric: String?
    ) async throws -> ScoreResult {
        let standard: Metric =
            switch benchmark {
            case .squad: .squadF1
            case .gsm8k: .gsm8kFlexible
            default: .needleRecall
            }
        let metric = try self.metric(named: metric, default: standard)
        let lines = try records.map { try $0.answeredQuestions() }
        let scores = try await bestScores(of: lines.flatMap(\.self), by: metric)
        return ScoreResult(
            dataset: dataset ?? benchmark.rawValue, metric: metric.name,
            shares: means(of: scores, groups: lines.map(\.count)))
    }

    /// KVzip's tasks: for each context the mean over its questions.
    func scoreSharedContexts(_ records: [JSONRecord], dataset: String) async throws -> ScoreResult {
        guard !dataset.contains("repoqa") else { return try await scoreRepositories(records, dataset: dataset) }
        let standard = SharedContextMetric.metric(forTask: dataset)
        let shares = try records.map { record in
            let tasks = try record.optionalTexts("task")
            let scores = try record.answeredQuestions().enumerated().map { index, question in
                let metric =
                    tasks.indices.contains(index) ? SharedContextMetric.metric(forTask: tasks[index]) : standard
                return question.bestScore(by: metric)
            }
            return mean(scores)
        }
        return ScoreResult(dataset: dataset, metric: standard.name, shares: shares)
    }

    private func scoreRepositories(_ records: [JSONRecord], dataset: String) async throws -> ScoreResult {
        var shares: [Double] = []
        for record in records {
            let predictions = try record.texts("preds")
            let functions = try record.texts("answers")
            let names = try record.list("func_name").map { $0.value.text ?? "" }
            let tasks = try record.optionalTexts("task")
            guard predictions.count == functions.count, names.count == functions.count,
                tasks.isEmpty || tasks.count == functions.count
            else { throw record.problem("'preds', 'answers', 'func_name' and 'task' are not of the same length") }

            let answers = functions.indices.filter { tasks.isEmpty || tasks[$0].contains("repoqa") }.map {
                RepositoryScorer.Answer(prediction: predictions[$0], functionName: names[$0])
            }
            let share = try await repositories.score(
                answers, candidates: zip(names, functions).map(RepositoryScorer.Candidate.init),
                language: record.text("lang"))
            guard dataset.contains("repoqa_and_kv") else {
                shares.append(share)
                continue
            }
            shares.append(mean([keyValueShare(predictions, functions, tasks), share]))
        }
        return ScoreResult(dataset: dataset, metric: "repoqa_pass@1", shares: shares)
    }

    /// The mean over the key-value questions of a context. As in the published code, an empty answer counts here
    /// whatever its question was.
    private func keyValueShare(_ predictions: [String], _ references: [String], _ tasks: [String]) -> Double {
        let scores = predictions.indices.compactMap { index -> Double? in
            let prediction = CodePoints(predictions[index])
            if prediction.withoutEndMark().trimmed().isEmpty { return 0 }
            guard tasks.indices.contains(index), tasks[index].contains("kv") else { return nil }
            return SharedContextMetric.include.score(
                Comparison(prediction: prediction, reference: CodePoints(references[index])))
        }
        return mean(scores)
    }

    private func means(of scores: [Double], groups: [Int]) -> [Double] {
        var rest = scores[...]
        return groups.map { count in
            defer { rest = rest.dropFirst(count) }
            return mean(Array(rest.prefix(count)))
        }
    }

    private func mean(_ scores: [Double]) -> Double {
        scores.isEmpty ? 0 : scores.reduce(0, +) / Double(scores.count)
    }
}

extension JSONRecord {
    /// One question of a line with `pred`, or several of a line with `preds`, each with one answer or a list of them.
    func answeredQuestions() throws -> [AnsweredQuestion] {
        guard has("preds") else {
            return [
                AnsweredQuestion(
                    prediction: CodePoints(try prediction()), answers: try texts("answers").map(CodePoints.init(_:)))
            ]
        }
        let predictions = try texts("preds")
        let answers = try list("answers").map { answer in
            let parts = (answer.value.elements ?? [answer.value]).map(\.plainText)
            guard !parts.contains(nil) else { throw problem("'answers' holds neither texts nor lists of texts") }
            return parts.compactMap { $0.map(CodePoints.init(_:)) }
        }
        guard predictions.count == answers.count else {
            throw problem("there are \(predictions.count) 'preds' and \(answers.count) 'answers'")
        }
        return zip(predictions, answers).map { AnsweredQuestion(prediction: CodePoints($0), answers: $1) }
    }
}
