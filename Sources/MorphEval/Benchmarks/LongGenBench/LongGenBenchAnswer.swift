public import Foundation

/// A task of LongGenBench with the blocks that a model wrote, ready for a judge.
public struct LongGenBenchAnswer: Sendable, Hashable {
    /// The task.
    public let sample: LongGenBenchSample
    /// The blocks of the response.
    public let blocks: LongGenBenchBlocks

    /// Reads a file of predictions: lines of tasks with a `response`, or a JSON list of results with `output_blocks`.
    public static func read(_ file: URL) throws -> [LongGenBenchAnswer] {
        try DataFile(file).records().map { try LongGenBenchAnswer($0) }
    }

    init(_ record: JSONRecord) throws {
        if record.has("output_blocks") {
            sample = try LongGenBenchSample(record, prompt: "input")
            blocks = try LongGenBenchBlocks(pieces: record.texts("output_blocks"), type: sample.type)
        } else {
            sample = try LongGenBenchSample(record)
            blocks = try sample.blocks(of: record.text("response"))
        }
    }
}
