/// The prompts of SCBench's "multi-request" mode (`eval_utils.py` of microsoft/MInference).
struct SharedContextWording: Sendable {
    let task: String

    /// The prompt that holds the context; some tasks put an instruction before it.
    func context(_ context: String, firstTurn: JSONRecord?) throws -> String {
        if task.contains("_mf"), let firstTurn { return try firstTurn.text("input") + "\n\n" + context }
        guard !task.contains("repoqa_and_kv"),
            let instruction = Self.instructions.first(where: { task.contains($0.fragment) })
        else { return context }
        return instruction.text + "\n\n" + context
    }

    /// The prompt of one question.
    func question(_ turn: JSONRecord) throws -> String {
        let input = try turn.text("input")
        if task.contains("choice_eng") { return try choice(input, options: turn.texts("options"), turn) }
        if task.contains("qa_eng") { return "Question: \(input)\nAnswer:" }
        if task.contains("qa_chn") { return "问题：\(input)\n答案：" }
        if task.contains("_mf") { return try mathFind(input, turn) }
        return input
    }

    private func choice(_ question: String, options: [String], _ turn: JSONRecord) throws -> String {
        guard options.count >= 4 else { throw turn.problem("'options' has fewer than four entries") }
        let lines = zip(["A", "B", "C", "D"], options).map { "\($0). \($1)\n" }
        return "Question: \(question)\n\(lines.joined())\nThe the correct answer is"
    }

    /// "What is the largest number?" before a request that ends with "The largest number is".
    private func mathFind(_ input: String, _ turn: JSONRecord) throws -> String {
        for line in CodePoints(input).split(separator: "\n") {
            guard let start = line.firstRange(of: "The ", from: line.scalars.startIndex) else { continue }
            let tail = CodePoints(slice: line.scalars[start.lowerBound...])
            // `The .+ is` is greedy: everything up to the last " is" of the line.
            let pieces = tail.split(separator: " is")
            guard pieces.count > 1 else { continue }
            let target = pieces.dropLast().map(\.string).joined(separator: " is")
            return "What is \(CodePoints(target).lowercased().string)?\n\n\(input)"
        }
        throw turn.problem("'input' does not ask for 'The … is'")
    }

    private static let instructions: [(fragment: String, text: String)] = [
        (
            "passkey",
            "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz you "
                + "about the important information."
        ),
        ("kv_compressible", "Extract the value corresponding to the specified key in the following passage."),
        ("scbench_kv", "Extract the value corresponding to the specified key in the JSON object below."),
        ("choice_eng", "Read the book and answer the question."),
        ("qa_eng", "Read the book and answer the question. Be very concise in your answer."),
        ("qa_chn", "阅读以下书籍然后回答问题。"),
        (
            "repoqa",
            "Based on the function description and code context, please retrieve and repeat the exact described function "
                + "from the code context in a code block wrapped by ```:"
        ),
    ]
}
