extension BenchmarkDefinition {
    /// SCBench and KVzip's shortened tasks: several questions about one long context.
    public static let scBench = BenchmarkDefinition(
        name: "scbench",
        summary: "several questions about a context; a folder of TASK.jsonl, the dataset being the task",
        datasets: [], defaultDataset: nil, scoring: .sharedContexts
    ) { request, _ in
        try SharedContextBench.samples(at: request.data, task: request.dataset).enumerated().map { index, sample in
            EvaluationSample(sample, id: "\(request.dataset)/\(index)", task: request.dataset)
        }
    }
}
