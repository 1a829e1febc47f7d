extension BenchmarkDefinition {
    /// SQuAD 1.1: questions about paragraphs of Wikipedia; those about one paragraph share its cache.
    public static let squad = BenchmarkDefinition(
        name: "squad", summary: "questions about paragraphs; SQuAD 1.1's dev-v1.1.json", datasets: ["squad"],
        defaultDataset: "squad", scoring: .bestAnswer(by: .squadF1, or: [.squadExactMatch])
    ) { request, _ in
        try Squad.samples(at: request.data).enumerated().map { index, sample in
            EvaluationSample(sample, id: "squad/\(index)", task: request.dataset)
        }
    }
}
