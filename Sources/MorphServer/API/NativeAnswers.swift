#if Server
internal import Foundation
internal import MorphKV

/// Answers of `/completion`, whole or in part, as llama-server writes them.
struct NativeAnswers: Sendable {
    let model: String
    let request: NativeRequest
    /// What each answer's settings were.
    let settings: [JSONValue]
    /// Each answer's prompt, with the names of special tokens.
    let prompts: [String]

    /// One answer while its pieces come.
    struct State: Sendable {
        var text = ""
        var ids: [Token] = []
        var scored: [ScoredToken] = []
    }

    /// Whether its tokens' probabilities were asked for.
    private var hasProbabilities: Bool { (request.nProbs ?? 0) > 0 }

    /// A part of a streamed answer that is not its end; nil if there is nothing in it.
    func part(_ index: Int, _ piece: ServingPiece) -> JSONValue? {
        guard !piece.text.isEmpty || !piece.ids.isEmpty || piece.progress != nil else { return nil }
        var members: [String: JSONValue] = [
            "index": .int(index), "content": .string(piece.text), "tokens": ids(piece.ids), "stop": false,
            "id_slot": .int(piece.slot), "tokens_predicted": .int(piece.timings.tokens),
            "tokens_evaluated": .int(piece.timings.promptTokens + piece.timings.cachedTokens),
        ]
        if let progress = piece.progress {
            members["prompt_progress"] = PromptProgress(progress, piece.timings).json
        }
        if request.timingsPerToken == true || piece.progress != nil {
            members["timings"] = Timings(piece.timings).json
        }
        if hasProbabilities, !piece.tokens.isEmpty { members["completion_probabilities"] = probabilities(piece.tokens) }
        return .object(members)
    }

    /// A whole answer, or the end of a streamed one.
    ///
    /// - Parameter state: what the answer has; nothing at the end of a streamed one.
    func whole(_ index: Int, _ state: State, _ end: ServingPiece.End, hasNewLine: Bool, roomLeft: Bool) -> JSONValue {
        var members: [String: JSONValue] = [
            "index": .int(index), "content": .string(state.text), "stop": true, "model": .string(model),
            "tokens": request.returnTokens == true ? ids(state.ids) : [], "id_slot": .int(end.slot),
            "tokens_predicted": .int(end.tokens), "tokens_evaluated": .int(end.promptTokens),
            "tokens_cached": .int(end.promptTokens + max(0, end.tokens - 1)),
            "generation_settings": settings[index], "prompt": .string(prompts[index]),
            "has_new_line": .bool(hasNewLine), "truncated": .bool(end.evicted > 0 || !roomLeft),
            "stop_type": .string(end.reason == .length ? "limit" : end.stop == nil ? "eos" : "word"),
            "stopping_word": .string(end.stop ?? ""), "timings": Timings(end.timings).json,
        ]
        if hasProbabilities, !state.scored.isEmpty { members["completion_probabilities"] = probabilities(state.scored) }
        guard let fields = request.responseFields, !fields.isEmpty else { return .object(members) }
        let all = JSONValue.object(members)
        return .object(
            Dictionary(fields.compactMap { field in all.value(at: field).map { (field, $0) } }) { $1 })
    }

    private func ids(_ tokens: [Token]) -> JSONValue { .array(tokens.map { .int(Int($0)) }) }

    private func probabilities(_ tokens: [ScoredToken]) -> JSONValue {
        let isSampled = request.postSamplingProbs == true
        func item(_ candidate: ScoredToken.Candidate) -> [String: JSONValue] {
            let probability: JSONValue =
                isSampled ? .double(min(1, exp(Double(candidate.logprob)))) : .float(candidate.logprob)
            return [
                "id": .int(Int(candidate.token)),
                "token": .string(String(decoding: candidate.bytes, as: UTF8.self)),
                "bytes": .array(candidate.bytes.map { .int(Int($0)) }),
                (isSampled ? "prob" : "logprob"): probability,
            ]
        }
        return .array(
            tokens.map { token in
                var members = item(token.chosen)
                members[isSampled ? "top_probs" : "top_logprobs"] = .array(token.top.map { .object(item($0)) })
                return .object(members)
            })
    }
}
#endif
