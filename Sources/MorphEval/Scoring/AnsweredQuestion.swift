/// A prediction and the answers that count as right.
struct AnsweredQuestion: Sendable {
    let prediction: CodePoints
    let answers: [CodePoints]
    var classes: [CodePoints] = []

    /// The best score over the answers. An answer that makes the published metric raise an `IndexError` sets it back to
    /// 0, as in MorphKV's `eval.py`; the original stops there.
    func bestScore(by metric: AnswerMetric, _ segmentation: Segmentation = Segmentation()) -> Double {
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
