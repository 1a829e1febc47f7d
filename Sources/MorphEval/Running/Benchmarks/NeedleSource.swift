extension BenchmarkSource {
    /// A needle in a haystack: every length with every depth.
    static let needle = BenchmarkSource(
        name: Benchmark.needle.rawValue, summary: "a sentence hidden in long texts; a folder of .txt files",
        datasets: ["needle"], defaultDataset: "needle"
    ) { request, codec in
        guard let longest = request.lengths.max(), !request.depths.isEmpty else {
            throw EvaluationError(.name, "a needle needs at least one length and one depth")
        }
        let needle = NeedleHaystack.Needle()
        let hay = try NeedleHaystack(folder: request.data, maximumLength: longest, needle: needle, codec: codec)
        return try request.lengths.flatMap { length in
            try request.depths.map { depth in
                let place = "needle/\(length)/\(JSONValue.number(depth).line)"
                return EvaluationSample(
                    id: place,
                    prompt: EvaluationPrompt(try hay.sample(length: length, depth: depth), task: request.dataset),
                    maximumNewTokens: SharedContextPrompt.maximumNewTokens(task: request.dataset),
                    answerField: .prediction,
                    fields: [JSONMember]([
                        "answers": JSONValue([needle.answer]), "length": .integer(length), "depth": .number(depth),
                    ]),
                    identity: [place, needle.text, needle.question, hay.textDigest])
            }
        }
    }
}
