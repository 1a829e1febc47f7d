public import Foundation
internal import Ggml

/// Where the texts of a calibration come from: files that are cut up, or the model itself.
public struct CalibrationTexts {
    /// Sequences that are written at a time; what they are does not depend on it.
    private static let parallel = 8

    private let model: Model
    private let tokenizer: Tokenizer
    private let length: Int
    private let options: Calibrator.Options
    private let threads: Int

    /// - Parameters:
    ///   - model: what the texts are for; it writes them too.
    ///   - length: tokens of a text at most.
    ///   - options: what will be learned from the texts.
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    /// - Throws: ``GenerationError`` of kind `noTokenizer`; ``CacheError`` of kind `calibration` if no text of that length
    ///   has the tokens that each text needs, of kind `invalidPolicy` for options that make no sense.
    public init(
        _ model: Model, length: Int, options: Calibrator.Options = Calibrator.Options(), threads: Int? = nil
    ) throws {
        guard let tokenizer = model.tokenizer else {
            throw GenerationError(.noTokenizer, "the model has no tokenizer: it can neither read text nor write it")
        }
        try options.validate()
        guard length >= options.leastLength else {
            throw CacheError(
                .calibration,
                "texts of \(length) tokens: the smallest window and 2, \(options.leastLength), are needed")
        }
        self.model = model
        self.tokenizer = tokenizer
        self.length = length
        self.options = options
        self.threads = threads ?? Processors.usable
    }

    /// The length of texts if nobody says otherwise: what the model was trained for, but at most 2,048 tokens.
    public static func usualLength(_ model: Model) -> Int { min(model.description.contextLength, 2048) }

    /// Cuts text into pieces, each of which begins as a text does.
    ///
    /// - Parameters:
    ///   - text: of any length.
    ///   - tokens: of all pieces together at most; pieces are then taken from all over the text.
    public func pieces(of text: String, tokens: Int) -> [Calibrator.Text] {
        let start = tokenizer.encode("").filter { $0 == tokenizer.beginOfText }
        let all = tokenizer.encode(text, addSpecial: false)
        let size = max(1, length - start.count)
        let pieces = stride(from: 0, to: all.count, by: size).map { Array(all[$0..<min($0 + size, all.count)]) }
        // A last piece that is much shorter says little, and nothing of great ages.
        let whole = pieces.count > 1 && (pieces.last?.count ?? 0) < size / 2 ? pieces.dropLast() : pieces[...]
        let wanted = min(whole.count, max(1, tokens / length))
        return (0..<wanted).map { Calibrator.Text(start + whole[$0 * whole.count / wanted]) }
    }

    /// Lets the model write texts of its own, one token after another by its probabilities; where one ends before its length
    /// the next begins in it.
    ///
    /// - Parameters:
    ///   - tokens: of all texts together.
    ///   - seed: of the random choices; each text has its own.
    ///   - partial: a file for the texts that are finished, so that a later call with the same arguments goes on; the
    ///     caller removes it.
    ///   - progress: called with the tokens written; what it throws ends the run.
    /// - Throws: ``CacheError`` of kind `calibration` if so many tokens are too few to learn from, or the model has no token
    ///   with which a text begins; what generating throws.
    public func samples(
        tokens: Int, seed: UInt32, partial: URL? = nil,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> [Calibrator.Text] {
        let ids = (0..<Token(model.description.vocabularySize)).lazy
        guard let start = tokenizer.beginOfText ?? ids.first(where: tokenizer.endsGeneration) else {
            throw CacheError(.calibration, "the model's tokenizer has no token with which a text begins; give it texts")
        }
        let count = max(1, tokens / length)
        try options.check(tokens: repeatElement(length, count: count), model)
        let jobs = (0..<count).map { index in
            let sampling = SamplingOptions(
                temperature: 1, topK: 0, topP: 1, minP: 0, seed: seed &+ UInt32(truncatingIfNeeded: index))
            return Job(prompt: [start], sampling: sampling, separator: start)
        }
        return try write(jobs, partial) { try progress($0, count * length) }
    }

    /// Lets the model answer prompts, greedily. Nothing is learned from texts without an answer and from those that are too
    /// short: they are left out.
    ///
    /// - Parameters:
    ///   - prompts: as the model is to read them.
    ///   - partial: a file for the texts that are finished, so that a later call with the same arguments goes on; the
    ///     caller removes it.
    ///   - progress: called with the tokens written and the largest possible number; what it throws ends the run.
    /// - Throws: ``CacheError`` of kind `calibration` if even the longest answers are too few tokens to learn from, and for a
    ///   prompt that leaves no room for an answer; what generating throws.
    public func answers(
        to prompts: [String], partial: URL? = nil, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> [Calibrator.Text] {
        let jobs = try prompts.map { prompt in
            let tokens = tokenizer.encode(prompt, parseSpecial: true)
            guard !tokens.isEmpty, tokens.count < length else {
                throw CacheError(
                    .calibration, "a prompt of \(tokens.count) tokens leaves no room in texts of \(length) tokens")
            }
            return Job(prompt: tokens, sampling: SamplingOptions(), separator: nil)
        }
        try options.check(tokens: repeatElement(length, count: jobs.count), model)
        return try write(jobs, partial) { try progress($0, jobs.count * length) }
            .filter { $0.tokens.count >= options.leastLength && $0.answer < $0.tokens.count }
    }

    // MARK: Writing

    private struct Job {
        let prompt: [Token]
        let sampling: SamplingOptions
        /// What stands in the text where the model ends it; nil ends it.
        let separator: Token?
    }

    /// A text while it is written.
    private struct Sequence {
        let job: Int
        let engine: Engine
        let sampler: Sampler
        var tokens: [Token]
    }

    private func write(
        _ jobs: [Job], _ partial: URL?, progress: (Int) throws -> Void
    ) throws -> [Calibrator.Text] {
        let workspace = try EngineWorkspace(model, threads: threads)
        let batch = try Batch(model, threads: threads)
        let file = partial.map { PartialFile($0, digest: digest(of: jobs)) }
        var written = file?.read() ?? [:]
        var waiting = jobs.indices.filter { written["\($0)"] == nil }[...]
        var idle: [Engine] = []
        var running: [Sequence] = []
        while !waiting.isEmpty || !running.isEmpty {
            while running.count < Self.parallel, let index = waiting.popFirst() {
                let engine = try idle.popLast() ?? Engine(model, .full, in: workspace, reserve: length)
                running.append(try begin(index, jobs[index], engine))
            }
            let before = written.count
            running = try running.compactMap { sequence in
                var sequence = sequence
                if sequence.tokens.count < length, let token = try next(of: sequence, jobs[sequence.job]) {
                    sequence.tokens.append(token)
                    return sequence
                }
                written["\(sequence.job)"] = sequence.tokens
                sequence.engine.clear()
                idle.append(sequence.engine)
                return nil
            }
            if written.count > before { try file?.write(written) }
            try batch.decode(running.map { ($0.engine, $0.tokens.last!) })
            try Task.checkCancellation()
            try progress(written.values.reduce(0) { $0 + $1.count } + running.reduce(0) { $0 + $1.tokens.count })
        }
        return jobs.enumerated().map { index, job in
            // A text of the model's own is an answer from the beginning.
            Calibrator.Text(written["\(index)"]!, answer: job.separator == nil ? job.prompt.count : 0)
        }
    }

    private func digest(of jobs: [Job]) -> String {
        var checksum = Checksum()
        checksum.add("\(model.fingerprint) \(length)")
        for job in jobs { checksum.add("\(job.prompt) \(job.sampling) \(job.separator ?? -1)") }
        return checksum.digits
    }

    private func begin(_ index: Int, _ job: Job, _ engine: Engine) throws -> Sequence {
        try engine.prefill(job.prompt)
        let sampler = try Sampler(
            job.sampling, after: job.prompt, vocabularySize: model.description.vocabularySize)
        return Sequence(job: index, engine: engine, sampler: sampler, tokens: job.prompt)
    }

    /// The next token of a text; nil if it ends here.
    private func next(of sequence: Sequence, _ job: Job) throws -> Token? {
        let token = try sequence.sampler.sample(sequence.engine.logits)
        return tokenizer.endsGeneration(token) ? job.separator : token
    }
}
