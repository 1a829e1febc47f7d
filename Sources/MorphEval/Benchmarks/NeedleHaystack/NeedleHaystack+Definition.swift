extension BenchmarkDefinition {
    /// A needle in a haystack of essays: every length with every depth.
    public static let needle: BenchmarkDefinition = {
        var benchmark = BenchmarkDefinition(
            name: "niah", summary: "a sentence hidden in long texts; a folder of .txt files", datasets: ["needle"],
            defaultDataset: "needle", scoring: .bestAnswer(by: .needleRecall), samples: needleSamples)
        benchmark.heatMap = NeedleHeatMap.of
        return benchmark
    }()

    private static func needleSamples(_ request: Request, _ codec: TokenCodec) throws -> [EvaluationSample] {
        guard let longest = request.lengths.max(), !request.depths.isEmpty else {
            throw EvaluationError(.name, "a needle needs at least one length and one depth")
        }
        let needle = NeedleHaystack.Needle()
        let hay = try NeedleHaystack(folder: request.data, maximumLength: longest, needle: needle, codec: codec)
        guard request.lengths.allSatisfy({ $0 > 0 }), request.depths.allSatisfy({ (0...100).contains($0) }) else {
            throw EvaluationError(.name, "a needle's length is 1 or more, its depth 0 to 100")
        }
        return try Set(request.lengths).sorted().flatMap { length in
            try Set(request.depths).sorted().map { depth in
                let place = "needle/\(length)/\(ChartScale.label(depth))"
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
