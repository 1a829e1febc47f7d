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

extension EvaluationPrompt {
    /// A context with its questions in KVzip's wording.
    package init(_ sample: SharedContextSample, task: String) {
        self.init(
            context: sample.context,
            questions: sample.questions.map {
                "\n\n" + CodePoints(SharedContextPrompt.query($0.text, task: task)).trimmed().string
            }, usesChatTemplate: true)
        system = "You are a helpful assistant"
        instruction = SharedContextPrompt.instruction(task: task)
        rawEnding = "\n\nAnswer: "
    }
}
