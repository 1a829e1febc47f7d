extension BenchmarkSource {
    /// SQuAD: the questions about a paragraph share its cache.
    static let squad = BenchmarkSource(
        name: Benchmark.squad.rawValue, summary: "questions about paragraphs; SQuAD 1.1's dev-v1.1.json",
        datasets: ["squad"], defaultDataset: "squad"
    ) { request, _ in
        try Squad.samples(at: request.data).enumerated().map { index, sample in
            EvaluationSample(sample, id: "squad/\(index)", task: request.dataset)
        }
    }

    /// SCBench and KVzip's shortened tasks: several questions about one long context.
    static let sharedContexts = BenchmarkSource(
        name: Benchmark.scBench.rawValue,
        summary: "several questions about a context; a folder of TASK.jsonl, the dataset being the task",
        datasets: [], defaultDataset: nil
    ) { request, _ in
        try SharedContextBench.samples(at: request.data, task: request.dataset).enumerated().map { index, sample in
            EvaluationSample(sample, id: "\(request.dataset)/\(index)", task: request.dataset)
        }
    }

    /// GSM8K: whole problems worded as EleutherAI's lm-evaluation-harness does without examples, or KVzip's split ones.
    static let gradeSchoolMath = BenchmarkSource(
        name: Benchmark.gsm8k.rawValue, summary: "mathematics in words; a clone of openai/grade-school-math",
        datasets: ["gsm8k", "gsm"], defaultDataset: "gsm8k"
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
                maximumNewTokens: 512, answerField: .prediction,
                fields: [JSONMember](["answers": JSONValue([problem.answer])]))
        }
    }
}

extension EvaluationSample {
    /// A context and its questions with the fields by which `morphkv score` scores SCBench's tasks.
    init(_ sample: SharedContextSample, id: String, task: String, answerField: AnswerField = .predictions) {
        let lists = sample.questions.map { JSONValue($0.answers) }
        let texts = sample.questions.compactMap(\.answers.first).map(JSONValue.string)
        // Source code is scored against one function a question, everything else against a list of answers.
        let answers = task.contains("repoqa") ? texts : answerField == .prediction ? lists.first?.elements ?? [] : lists
        var fields = [JSONMember](["answers": .array(answers)])
        if sample.questions.contains(where: { $0.task != nil }) {
            fields.append(
                JSONMember(name: "task", value: .array(sample.questions.map { .string($0.task ?? task) })))
        }
        if sample.questions.contains(where: { $0.functionName != nil }) {
            fields.append(
                JSONMember(name: "func_name", value: .array(sample.questions.map { JSONValue($0.functionName) })))
        }
        if let language = sample.language { fields.append(JSONMember(name: "lang", value: .string(language))) }
        self.init(
            id: id, prompt: EvaluationPrompt(sample, task: task),
            maximumNewTokens: SharedContextPrompt.maximumNewTokens(task: task), answerField: answerField,
            fields: fields)
    }
}
