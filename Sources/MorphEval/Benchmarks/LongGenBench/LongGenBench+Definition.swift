extension BenchmarkDefinition {
    /// LongGenBench: long answers in numbered blocks (mozhu621/LongGenBench). The prompt ends with the beginning of the
    /// document, so there is no chat template.
    public static let longGenBench: BenchmarkDefinition = {
        var benchmark = BenchmarkDefinition(
            name: "longgenbench", summary: "long documents in blocks; a clone of mozhu621/LongGenBench",
            datasets: LongGenBench.Length.allCases.map(\.rawValue), defaultDataset: LongGenBench.Length.short.rawValue,
            scoring: .longGenBench
        ) { request, _ in
            guard let length = LongGenBench.Length(rawValue: request.dataset) else {
                throw EvaluationError(.name, "'\(request.dataset)' is not a length of LongGenBench")
            }
            let samples = try LongGenBench.samples(
                at: request.data, length: length, samplesPerType: request.samplesPerType)
            return samples.enumerated().map { index, sample in
                EvaluationSample(
                    id: "\(length.rawValue)/\(index)",
                    prompt: EvaluationPrompt(sample.prompt, usesChatTemplate: false),
                    maximumNewTokens: LongGenBenchSample.maximumNewTokens, answerField: .response,
                    fields: sample.fields)
            }
        }
        benchmark.hasTypes = true
        benchmark.judging = .longGenBench
        return benchmark
    }()
}

extension BenchmarkScoring {
    /// LongGenBench's completion rate; its accuracies need a judge.
    static let longGenBench = BenchmarkScoring(givesPercentages: true) { predictions in
        let rates = try predictions.records.map { record in
            let answer = try LongGenBenchAnswer(record)
            return answer.blocks.completionRate(expected: answer.sample.number)
        }
        return ("completion_rate", rates)
    }
}

extension LongGenBenchSample {
    /// The task's own fields, as its file has them.
    fileprivate var fields: [JSONMember] {
        let checks = Group.allCases.map { group in
            let events = self.checks[group, default: []].map {
                JSONMember(name: String($0.number), value: .string($0.event))
            }
            return JSONMember(name: "checks_\(group.rawValue)", value: .object(events))
        }
        return [JSONMember]([
            "prompt": .string(prompt), "prefix": .string(prefix), "type": .string(type), "number": .integer(number),
        ]) + checks
    }
}
