extension BenchmarkDefinition {
    /// LongBench v2, without chain of thought: prompts, lengths and the reading of answers as its `pred.py` has them. Parts are
    /// those of its `result.py`.
    public static let longBench2 = BenchmarkDefinition(
        name: "longbench-v2", summary: "503 questions with four choices; data.json of THUDM/LongBench-v2",
        datasets: ["all", "easy", "hard", "short", "medium", "long"], defaultDataset: "all", scoring: .longBench2
    ) { request, _ in
        let part = request.dataset
        let samples = try LongBench2.samples(at: request.data)
        return samples.filter { part == "all" || $0.difficulty == part || $0.length == part }.map { sample in
            EvaluationSample(
                id: sample.id, prompt: EvaluationPrompt(sample.prompt, usesChatTemplate: true), maximumNewTokens: 128,
                answerField: .response,
                fields: [JSONMember]([
                    "answer": .string(sample.answer), "difficulty": .string(sample.difficulty),
                    "length": .string(sample.length),
                ]))
        }
    }
}

extension BenchmarkScoring {
    /// Whether the letter is right; a line has `response` and `answer`. In published files `pred` is the letter.
    static let longBench2 = BenchmarkScoring { predictions in
        let scores = try predictions.records.map { record in
            let choice = LongBench2.choice(in: CodePoints(try record.text("response")))
            return choice.map(String.init) == (try record.text("answer")) ? 1.0 : 0
        }
        return ("accuracy", scores)
    }
}
