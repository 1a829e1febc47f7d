package import Foundation

/// The result file of a run: one line a sample, each of which says which run it belongs to.
package struct RunFile {
    /// What every line begins with.
    static let lineStart = #"{"id":""#

    private let file: JSONLinesFile
    private let settings: EvaluationSettings
    /// The names of the samples that the file holds.
    package private(set) var done: Set<String>

    /// Opens the file of a run, new or interrupted.
    ///
    /// - Throws: ``EvaluationError`` of kind `differentRun` naming the difference if the file holds another run's lines,
    ///   `format` if it is damaged.
    package init(_ url: URL, settings: EvaluationSettings, samples: [EvaluationSample]) throws {
        self.settings = settings
        let digests = Dictionary(samples.map { ($0.id, $0.digest) }) { $1 }
        var done: Set<String> = []
        file = try JSONLinesFile(url, lineStart: Self.lineStart) { lines in
            for line in lines {
                let line = try RunLine(line)
                let differences = line.settings.differences(from: settings)
                guard differences.isEmpty else {
                    throw EvaluationError(
                        .differentRun, file: url, line: line.record.line,
                        "it holds another run, which differs in \(differences.joined(separator: "; "))")
                }
                guard digests[line.id] == line.digest else {
                    throw line.record.problem("the run has no sample '\(line.id)' of this content")
                }
                guard done.insert(line.id).inserted else {
                    throw line.record.problem("the sample '\(line.id)' is there twice")
                }
            }
        }
        self.done = done
    }

    /// Adds the result of a sample.
    ///
    /// - Parameter samplesAtATime: How many samples were answered at the same time, which the times depend on.
    package mutating func append(
        _ sample: EvaluationSample, _ answer: EvaluationAnswer, samplesAtATime: Int = 1
    ) throws {
        let texts = answer.parts.map(\.text)
        let prediction: JSONValue =
            sample.answerField == .predictions ? JSONValue(texts) : .string(texts.first ?? "")
        let line =
            [JSONMember](["id": .string(sample.id), "sample": .string(sample.digest)])
            + [JSONMember(name: sample.answerField.rawValue, value: prediction)] + sample.fields
            + answer.members + [JSONMember(name: "samples_at_a_time", value: .integer(samplesAtATime))]
            + [JSONMember(name: "run", value: settings.json)]
        try file.append(.object(line))
        done.insert(sample.id)
    }
}

/// One line of a result file.
package struct RunLine: Sendable {
    /// The line as it stands in the file.
    package let record: JSONRecord
    /// The name of the sample.
    package let id: String
    /// The digest of the sample.
    package let digest: String
    /// The run that it belongs to.
    package let settings: EvaluationSettings

    /// Reads a line.
    package init(_ record: JSONRecord) throws {
        self.record = record
        settings = try EvaluationSettings(of: record)
        id = try record.text("id")
        digest = try record.text("sample")
    }
}

extension EvaluationAnswer {
    /// What is recorded about the making of an answer.
    fileprivate var members: [JSONMember] {
        [JSONMember]([
            "prompt_tokens": .integer(promptTokens), "prompt_was_cut": .bool(promptWasCut),
            "context_reads": .integer(contextReads),
            "response_tokens": .integer(parts.reduce(0) { $0 + $1.tokens }),
            "finish": JSONValue(parts.map(\.finish)), "prompt_cache_bytes": .integer(promptCacheBytes),
            "cache_bytes": .integer(cacheBytes),
            "peak_bytes": .integer(peakBytes), "prefill_seconds": .number(prefillSeconds),
            "decode_seconds": .number(decodeSeconds),
        ])
    }
}
