internal import Foundation

/// The tasks of ∞Bench (arXiv 2402.13718, github OpenBMB/InfiniteBench): texts of a hundred thousand tokens and more.
///
/// Prompts are those that the published code has for open models, which are raw texts (`yarn_mistral_templates`).
public enum InfiniteBenchTask: String, Sendable, CaseIterable {
    /// Retrieve.PassKey.
    case passkey
    /// Retrieve.Number.
    case numberString = "number_string"
    /// Retrieve.KV.
    case keyValues = "kv_retrieval"
    /// En.Sum.
    case summary = "longbook_sum_eng"
    /// En.MC.
    case choice = "longbook_choice_eng"
    /// En.QA.
    case question = "longbook_qa_eng"
    /// Zh.QA.
    case chineseQuestion = "longbook_qa_chn"
    /// En.Dia.
    case dialogue = "longdialogue_qa_eng"
    /// Math.Find.
    case find = "math_find"
    /// Math.Calc.
    case calculation = "math_calc"
    /// Code.Run.
    case codeRun = "code_run"
    /// Code.Debug.
    case codeDebug = "code_debug"

    /// The number of tokens that the published code lets a model write.
    public var maximumNewTokens: Int {
        switch self {
        case .find: 3
        case .codeRun, .codeDebug: 5
        case .passkey: 6
        case .numberString: 12
        case .choice, .question, .chineseQuestion, .dialogue: 40
        case .keyValues: 50
        case .summary: 1200
        case .calculation: 30000
        }
    }

    private var template: String {
        switch self {
        case .passkey:
            "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz you "
                + "about the important information.\n\n{context}\n\n{input}\n\nThe pass key is"
        case .numberString:
            "There is an important info hidden inside a lot of irrelevant text. Find it. I will quiz you about the "
                + "important information there.\n\n{context}\n\n{input}\n\nThe sequence of digits is"
        case .keyValues:
            "Extract the value corresponding to the specified key in the JSON object below.\n\n{context}\n\n{input}"
        case .summary: "Summarize the book below.\n\n{context}\n\nSummary:"
        case .choice:
            "Read the book and answer the question.\n\n{context}\n\nQuestion: {input}\n" + Self.options
                + "\n\nThe letter of the correct answer is"
        case .question:
            "Read the book and answer the question. Be very concise in your answer.\n\n{context}\n\n"
                + "Question: {input}\nAnswer:"
        case .chineseQuestion: "阅读以下书籍然后回答问题。\n\n{context}\n\n问题：{input}\n答案："
        case .dialogue:
            "Below is a dialogue script where one random occurrence of a character name is replaced with \"$$MASK$$\", and "
                + "you should try to guess who that character is.\n\n{context}\n\nThe name that has been replaced with "
                + "$$MASK$$ is likely"
        case .find: "{prefix}\n\n{context}\n\n{input}"
        case .calculation:
            "Let us calculate the intermediate values of an expression.\n\nExpression: 1 + 3 + 4\nValues: [1, 4, 8]\n\n"
                + "Expression: 8 - 3 + 2 - 4\nValues: [8, 5, 7, 3]\n\nExpression: {context}\nValues:"
        case .codeRun:
            "There is a function called {func} in the following Python code.\n\n{context}\n\nPlease compute the exact "
                + "value of {func_call}. The value of {func_call} is"
        case .codeDebug:
            "Following is a Python code where exactly one of the functions/methods has a deliberate error that makes it "
                + "crash.\n\n{context}\n\nOptions:\n" + Self.options + "\n\nThe correct option is:"
        }
    }

    private static let options = "A. {OPTION_A}\nB. {OPTION_B}\nC. {OPTION_C}\nD. {OPTION_D}"

    // MARK: Samples

    /// A sample's prompt.
    func prompt(_ record: JSONRecord) throws -> String {
        var values = ["context": try record.text(record.has("content") ? "content" : "context")]
        if self != .summary, self != .calculation, self != .dialogue { values["input"] = try record.text("input") }
        switch self {
        case .choice, .codeDebug:
            let options = try record.texts("options")
            guard options.count >= 4 else { throw record.problem("'options' holds \(options.count), not 4") }
            for (letter, option) in zip("ABCD", options) { values["OPTION_\(letter)"] = option }
        case .find: values["prefix"] = try Self.listQuestion(record)
        case .codeRun:
            let input = try record.text("input")
            guard let call = input.firstMatch(of: /func_[0-9]+\(-?[0-9]+\)/.matchingSemantics(.unicodeScalar)) else {
                throw record.problem("'input' calls no function")
            }
            values["func_call"] = String(call.0)
            values["func"] = String(call.0.prefix { $0 != "(" })
        default: break
        }
        return try PromptTemplate(template).filled(with: values)
    }

    /// Math.Find: what is asked, before the list is shown.
    private static func listQuestion(_ record: JSONRecord) throws -> String {
        let input = try record.text("input")
        guard let found = input.firstMatch(of: /The .+ of/.matchingSemantics(.unicodeScalar)) else {
            throw record.problem("'input' does not say which number is asked for")
        }
        let target = CodePoints(String(found.0)).lowercased().scalars.dropLast(3)
        return "What is \(CodePoints(slice: target).string) in the following list?"
    }

    /// What an answer is compared with: of multiple choice the option and its letter.
    func label(_ record: JSONRecord) throws -> JSONValue {
        guard let answer = record.value["answer"] else { throw record.problem("'answer' is missing") }
        guard self == .choice || self == .codeDebug else { return answer }
        let given = answer.elements ?? [answer]
        if given.count == 2, let letter = given[1].text, ["A", "B", "C", "D"].contains(letter) { return answer }
        guard given.count == 1, let text = given[0].text,
            let place = try record.texts("options").firstIndex(where: { CodePoints($0) == CodePoints(text) }), place < 4
        else { throw record.problem("'answer' is none of the options") }
        return .array([.string(text), .string(["A", "B", "C", "D"][place])])
    }
}
