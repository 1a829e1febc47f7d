#if Server
internal import MorphKV

/// The body of `POST /v1/completions`.
struct CompletionRequest: Decodable, Sendable {
    /// A text, token ids, or several of either.
    enum Prompt: Decodable, Sendable {
        case texts([String])
        case tokens([[Token]])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .texts([text])
            } else if let texts = try? container.decode([String].self) {
                self = .texts(texts)
            } else if let tokens = try? container.decode([Token].self) {
                self = .tokens([tokens])
            } else {
                self = .tokens(try container.decode([[Token]].self))
            }
        }

        /// What an answer repeats of one of the prompts.
        func echo(_ index: Int, _ tokens: [Token], _ tokenizer: Tokenizer) -> TextAnswers.Echo {
            let first = tokens.first.map { tokenizer.decode([$0]) } ?? ""
            switch self {
            case .texts(let texts): return .init(text: texts[index], first: first)
            case .tokens: return .init(text: tokenizer.decode(tokens), first: first)
            }
        }
    }

    var fields: GenerationFields
    var prompt: Prompt
    var logprobs: Int?
    var echo: Bool?
    var suffix: String?
    var bestOf: Int?
    var shape: AnswerShape

    private enum CodingKeys: CodingKey {
        case prompt, logprobs, echo, suffix, bestOf
    }

    init(from decoder: any Decoder) throws {
        fields = try GenerationFields(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        prompt = try container.decode(Prompt.self, forKey: .prompt)
        logprobs = try container.decodeIfPresent(Int.self, forKey: .logprobs)
        echo = try container.decodeIfPresent(Bool.self, forKey: .echo)
        suffix = try container.decodeIfPresent(String.self, forKey: .suffix)
        bestOf = try container.decodeIfPresent(Int.self, forKey: .bestOf)
        shape = try AnswerShape(from: decoder)
    }

    /// - Throws: ``APIError`` naming the field that is out of range or not supported.
    func validate(_ configuration: ServerConfiguration) throws {
        try fields.validate(configuration, mayHaveNoTokens: echo == true)
        guard (0...20).contains(logprobs ?? 0) else {
            throw APIError.invalid("'logprobs' must be from 0 to 20", param: "logprobs")
        }
        guard echo != true || fields.stream != true || logprobs == nil else {
            throw APIError.invalid(
                "'echo' with 'logprobs' is not streamed", param: "echo", code: "unsupported")
        }
        guard logprobs != nil || fields.maxTokens != 0 else {
            throw APIError.invalid("an answer without tokens needs 'logprobs'", param: "max_tokens")
        }
        guard (suffix ?? "").isEmpty else {
            throw APIError.invalid("'suffix' is not supported", param: "suffix", code: "unsupported")
        }
        guard bestOf == nil || bestOf == fields.n ?? 1 else {
            throw APIError.invalid("'best_of' other than 'n' is not supported", param: "best_of", code: "unsupported")
        }
    }
}
#endif
