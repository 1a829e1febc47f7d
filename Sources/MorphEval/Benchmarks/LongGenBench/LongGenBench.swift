public import Foundation

/// One task of LongGenBench (arXiv 2409.02076): a long document in numbered blocks, some of which have to mention
/// something.
public struct LongGenBenchSample: Sendable, Hashable {
    /// The groups of checks, which are averaged separately.
    public enum Group: String, Sendable, Hashable, CaseIterable, Codable {
        /// Things that one block has to mention.
        case once
        /// Things that a run of blocks has to mention.
        case range
        /// Things that every so many blocks have to mention.
        case periodic
    }

    /// The task, ending with the beginning of the document.
    public let prompt: String
    /// The end of the prompt, with which the document begins.
    public let prefix: String
    /// What a block is called: "Week", "Floor", "Menu Week", "Block", "Day" or "Menu Day".
    public let type: String
    /// How many blocks are asked for.
    public let number: Int
    /// The checks of each group, in the order of the file.
    public let checks: [Group: [LongGenBenchCheck]]

    /// The number of tokens that MorphKV's `inference_hf.py` generates at most.
    public static let maximumNewTokens = 8_000

    package init(prompt: String, prefix: String, type: String, number: Int, checks: [Group: [LongGenBenchCheck]]) {
        self.prompt = prompt
        self.prefix = prefix
        self.type = type
        self.number = number
        self.checks = checks
    }

    init(_ record: JSONRecord, prompt promptField: String = "prompt") throws {
        prompt = try record.text(promptField)
        prefix = record.value["prefix"]?.text ?? ""
        type = try record.text("type")
        number = try record.integer("number")
        checks = try Group.allCases.reduce(into: [:]) { checks, group in
            checks[group] = try Self.checks(record, "checks_\(group.rawValue)")
        }
    }

    private static func checks(_ record: JSONRecord, _ field: String) throws -> [LongGenBenchCheck] {
        try record.object(field).map { member in
            guard let number = CodePoints(member.name).trimmed().integer, let event = member.value.plainText else {
                throw record.problem("'\(field)' does not map numbers of blocks to texts")
            }
            return LongGenBenchCheck(number: number, event: event)
        }
    }

    /// The blocks of a response to the prompt.
    public func blocks(of response: String) -> LongGenBenchBlocks {
        LongGenBenchBlocks(response: prefix + response, type: type)
    }

    /// The questions for a judge about the blocks that are there; checks of missing blocks are left out, as published.
    public func questions(_ group: Group, about blocks: LongGenBenchBlocks) -> [LongGenBenchQuestion] {
        (checks[group] ?? []).compactMap { check in
            blocks.block(check.number).map {
                LongGenBenchQuestion(number: check.number, prompt: check.prompt(block: $0))
            }
        }
    }
}

/// A question about one block, to be answered with yes or no.
public struct LongGenBenchQuestion: Sendable, Hashable {
    /// The number of the block.
    public let number: Int
    /// The whole prompt for the judge.
    public let prompt: String
}

/// LongGenBench's files, in `Dataset` of mozhu621/LongGenBench.
public enum LongGenBench {
    /// The two lengths of the benchmark.
    public enum Length: String, Sendable, Hashable, CaseIterable, Codable {
        /// About 16,000 tokens.
        case short
        /// About 32,000 tokens.
        case long
    }

    /// Reads the tasks.
    ///
    /// - Parameters:
    ///   - url: A clone of the repository, its `Dataset` folder, or a file.
    ///   - length: Which file of a folder.
    ///   - samplesPerType: How many tasks of each type to keep, the first ones; MorphKV takes 10.
    public static func samples(
        at url: URL, length: Length = .short, samplesPerType: Int? = nil
    ) throws -> [LongGenBenchSample] {
        let name = "Dataset_\(length.rawValue).json"
        let file = try BenchmarkFolder.file(["Dataset/\(name)", name], at: url)
        let samples = try DataFile(file).records().map { try LongGenBenchSample($0) }
        guard let samplesPerType else { return samples }
        var taken: [String: Int] = [:]
        return samples.filter { sample in
            taken[sample.type, default: 0] += 1
            return taken[sample.type, default: 0] <= samplesPerType
        }
    }
}
