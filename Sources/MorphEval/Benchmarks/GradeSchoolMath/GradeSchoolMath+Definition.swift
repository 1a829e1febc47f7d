extension BenchmarkDefinition {
    /// GSM8K: grade-school mathematics (openai/grade-school-math); whole problems worded as EleutherAI's
    /// lm-evaluation-harness does without examples, or KVzip's split ones.
    public static let gsm8k = BenchmarkDefinition(
        name: "gsm8k", summary: "mathematics in words; a clone of openai/grade-school-math",
        datasets: ["gsm8k", "gsm"], defaultDataset: "gsm8k",
        scoring: .bestAnswer(by: .gsm8kFlexible, or: [.gsm8kStrict])
    ) { request, codec in
        let problems = try GradeSchoolMath.problems(at: request.data)
        guard request.dataset == "gsm8k" else {
            let samples = try GradeSchoolMath.sharedContexts(problems) { try codec.encode($0).count }
            return samples.enumerated().map { index, sample in
                EvaluationSample(
                    sample, id: "gsm/\(index)", task: request.dataset, answerField: .prediction)
            }
        }
        return problems.enumerated().map { index, problem in
            EvaluationSample(
                id: "gsm8k/\(index)",
                prompt: EvaluationPrompt("Question: \(problem.question)\nAnswer:", usesChatTemplate: true),
                maximumNewTokens: 512, answers: [problem.answer])
        }
    }
}
