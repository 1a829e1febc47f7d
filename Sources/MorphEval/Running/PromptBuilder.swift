/// Turns the prompts of samples into tokens: chat template, middle truncation, special tokens.
package struct PromptBuilder: Sendable {
    let model: any AnsweringModel
    let settings: EvaluationSettings

    /// Prepares prompts for a model.
    package init(model: any AnsweringModel, settings: EvaluationSettings) {
        self.model = model
        self.settings = settings
    }

    /// The tokens of a sample's prompt.
    ///
    /// A prompt, or the context that questions share, loses its middle if it has more tokens than the user allows;
    /// unless the user says something, the answer has room in the model's context, but at most half of it.
    package func request(for sample: EvaluationSample, index: Int) throws -> EvaluationRequest {
        let prompt = sample.prompt
        let frame = try frame(of: prompt)
        let limit = settings.maximumNewTokens ?? sample.maximumNewTokens
        let questions = prompt.questions.map { prompt.context == nil ? $0 : $0 + frame.tail }
        let reserved = try reservedTokens(prompt, frame)
        let room = settings.maximumPromptTokens ?? max(model.contextLength - limit, model.contextLength / 2) - reserved
        guard room > 0 else {
            throw EvaluationError(
                .model, "\(sample.id): question and template alone have \(reserved) tokens, too many for this model")
        }
        var request = EvaluationRequest(
            questions: [], maximumNewTokens: limit, endsAfterLine: sample.endsAfterLine,
            seed: UInt32(truncatingIfNeeded: settings.seed + index))
        if let context = prompt.context {
            let cut = try model.codec.truncatedInTheMiddle(context, maximumTokens: room)
            request.promptWasCut = cut != context
            request.system = try model.tokens(of: frame.head + prompt.instruction, isBeginning: true)
            request.context = try model.tokens(of: cut, isBeginning: false)
            request.questions = try questions.map { try model.tokens(of: $0, isBeginning: false) }
        } else {
            request.questions = try questions.map { question in
                let cut = try model.codec.truncatedInTheMiddle(question, maximumTokens: room)
                if cut != question { request.promptWasCut = true }
                return try model.tokens(of: frame.head + cut + frame.tail, isBeginning: true)
            }
        }
        return request
    }

    private func frame(of prompt: EvaluationPrompt) throws -> ChatFrame {
        guard prompt.usesChatTemplate, settings.usesChatTemplate else {
            return ChatFrame(head: "", tail: prompt.rawEnding)
        }
        return try model.chatFrame(system: prompt.system)
    }

    /// The tokens of everything that is never cut.
    private func reservedTokens(_ prompt: EvaluationPrompt, _ frame: ChatFrame) throws -> Int {
        let questions = prompt.context == nil ? [] : prompt.questions
        let longest = try questions.map { try model.codec.encode($0).count }.max() ?? 0
        return try longest + model.codec.encode(frame.head + prompt.instruction).count
            + model.codec.encode(frame.tail).count + 1
    }
}
