package import Foundation

/// The result file of a run: one line a sample, each of which says which run it belongs to.
package struct RunFile {
    /// What every line begins with.
    static let lineStart = #"{"id":""#

    /// How an answer was made.
    package struct Making: Sendable {
        /// The sample's place in the whole run, from 0.
        package let index: Int
        /// How many samples were answered at the same time, which the times depend on.
        package var samplesAtATime = 1
        /// The part of the run that was computed.
        package var shard: Shard?
        /// The call that made it.
        package var command: String?
    }

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
    package mutating func append(_ sample: EvaluationSample, _ answer: EvaluationAnswer, _ making: Making) throws {
        let texts = answer.parts.map(\.text)
        let prediction: JSONValue =
            sample.answerField == .predictions ? JSONValue(texts) : .string(texts.first ?? "")
        let line =
            [JSONMember](["id": .string(sample.id), "sample": .string(sample.digest)])
            + [JSONMember(name: sample.answerField.rawValue, value: prediction)] + sample.fields
            + answer.members + making.members
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
    /// The sample's place in the whole run, from 0; nil in files of older versions.
    let index: Int?
    /// The part of the run that was computed; nil if it was all of it.
    let shard: Shard?

    /// Reads a line.
    package init(_ record: JSONRecord) throws {
        self.record = record
        settings = try EvaluationSettings(of: record)
        index = try record.has("index") ? record.integer("index") : nil
        shard = try record.has("shard") ? Shard(record.text("shard")) : nil
        id = try record.text("id")
        digest = try record.text("sample")
    }
}

extension RunFile.Making {
    fileprivate var members: [JSONMember] {
        let always = [JSONMember](["index": .integer(index), "samples_at_a_time": .integer(samplesAtATime)])
        return always
            + [("shard", shard?.description), ("command", command)].compactMap { name, text in
                text.map { JSONMember(name: name, value: .string($0)) }
            }
    }
}

extension EvaluationAnswer {
    /// What is recorded about the making of an answer.
    fileprivate var members: [JSONMember] {
        let budget =
            budgetBytes.map { [JSONMember](["budget_bytes": .integer($0), "capacity": JSONValue(capacity)]) } ?? []
        return [JSONMember]([
            "prompt_tokens": .integer(promptTokens), "prompt_was_cut": .bool(promptWasCut),
            "sequence_tokens": .integer(sequenceTokens), "context_reads": .integer(contextReads),
            "response_tokens": .integer(parts.reduce(0) { $0 + $1.tokens }),
            "finish": JSONValue(parts.map(\.finish)), "prompt_cache_bytes": .integer(promptCacheBytes),
            "cache_bytes": .integer(cacheBytes), "shared_bytes": .integer(sharedBytes),
            "peak_bytes": .integer(peakBytes), "prefill_seconds": .number(prefillSeconds),
            "decode_seconds": .number(decodeSeconds),
        ]) + budget
    }
}
