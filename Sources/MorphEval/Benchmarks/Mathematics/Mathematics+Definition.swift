extension BenchmarkDefinition {
    /// MATH-500, 500 problems of MATH (arXiv 2103.03874) chosen in arXiv 2305.20050, and AIME, thirty problems a year with answers
    /// from 0 to 999. A reasoning model writes long: 32,768 tokens, as DeepSeek-R1 (arXiv 2501.12948) is measured.
    public static let math = BenchmarkDefinition(
        name: "math", summary: "long reasoning; test.jsonl of HuggingFaceH4/MATH-500, or a year of AIME",
        datasets: ["math500", "aime"], defaultDataset: "math500",
        scoring: .bestAnswer(by: .mathEquivalence, or: [.firstBox, .lastBox])
    ) { request, _ in
        let problems = try MathProblem.problems(["test.jsonl", "train.jsonl", "test.json"], at: request.data)
        return problems.enumerated().map { index, problem in
            EvaluationSample(
                id: "\(request.dataset)/\(index)", prompt: problem.prompt, maximumNewTokens: 32768,
                answers: [problem.answer])
        }
    }
}
