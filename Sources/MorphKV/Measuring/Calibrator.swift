public import Foundation
internal import Ggml

/// Makes a ``Calibration``: reads texts with the full cache and learns, layer by layer, how much each entry will be needed
/// at each age (docs/augur.md).
///
/// The matrix of attention weights never exists: weights come for a batch of queries at a time, at most 32 MB. What is in
/// memory at a time are the residual streams of all texts and one layer's sums.
public struct Calibrator {
    /// A text to learn from.
    public struct Text: Sendable, Hashable {
        /// The whole text.
        public var tokens: [Token]
        /// How many of them come before the answer; entries are counted while the answer is read.
        public var answer: Int

        /// Creates a text.
        public init(_ tokens: [Token], answer: Int = 0) {
            self.tokens = tokens
            self.answer = answer
        }
    }

    /// What is learned, and how.
    public struct Options: Sendable, Hashable {
        /// The ages, in tokens, from which on each score holds; ascending.
        public var ages = Calibration.usualAges
        /// How many times as long as an age texts must be to teach it. Where they are shorter, most of what is needed at that
        /// age would come after their end and be taught as never needed; the age takes the map of the one before.
        public var lengthPerAge = 4
        /// Windows for which entries are counted; ascending.
        public var windows = [8, 16, 32, 64]
        /// Thresholds above which entries are counted, ascending: one below all scores, then evenly on a logarithmic scale.
        public var thresholds = [-1] + (0..<60).map { Float(pow(10, -5 + 5 * Double($0) / 59)) }
        /// What the ridge regressions add to the diagonal of the standardised inputs' sums of products.
        public var penalty = 10.0
        /// Tokens that an age needs for a map of its own, in texts that are long enough; an age with fewer takes that of the
        /// age before. The layers' width, but at least 512, if nil.
        public var leastTokens: Int?

        /// The options of `morphkv calibrate`.
        public init() {}

        func leastTokens(_ model: Model) -> Int { leastTokens ?? max(512, model.description.embeddingLength) }

        /// Which ages texts of these lengths give a map of their own.
        func areLearned(by lengths: [Int], _ model: Model) -> [Bool] {
            ages.map { age in
                let tokens = lengths.filter { $0 >= lengthPerAge * age }.reduce(0) { $0 + max(0, $1 - age) }
                return age == ages[0] || tokens >= leastTokens(model)
            }
        }

        /// Tokens that every text needs: the smallest window and 2.
        var leastLength: Int { windows[0] + 2 }
    }

    /// How far a calibration is.
    public struct Progress: Sendable, Hashable {
        /// Texts read into a layer or taken through one.
        public let done: Int
        /// The same for all layers.
        public let total: Int
        /// How many of them an earlier call had done.
        public let resumed: Int
    }

    /// What came out.
    public struct Result: Sendable {
        /// What was learned.
        public let calibration: Calibration
        /// The share of the targets' variance that is explained, by age: the mean over layers and heads; nil for an age
        /// with too few tokens, which has the map of the age before.
        public let explained: [Double?]
        /// How many layers an earlier call had learned.
        public let resumedLayers: Int
    }

    private let model: Model
    /// What is learned from.
    public let texts: [Text]
    private let source: String
    private let options: Options

    /// Checks what is to be learned from.
    ///
    /// - Parameters:
    ///   - model: what is learned about.
    ///   - texts: what it reads; like those that it will write, and as long.
    ///   - source: the kind of texts, for a person; part of the calibration.
    ///   - options: what is learned from them.
    /// - Throws: ``CacheError`` of kind `calibration` if a text is too short for the smallest window or all are for the
    ///   first age, of kind `invalidToken` for an id outside the vocabulary, of kind `invalidPolicy` for options that make
    ///   no sense.
    public init(_ model: Model, texts: [Text], source: String, options: Options = Options()) throws {
        self.model = model
        self.texts = texts
        self.source = source
        self.options = options
        try options.validate()
        let least = options.leastLength
        for (index, text) in texts.enumerated() {
            for token in text.tokens { try model.check(token) }
            guard text.tokens.count >= least else {
                throw CacheError(
                    .calibration,
                    "text \(index + 1) has \(text.tokens.count) tokens: the smallest window and 2, \(least), are needed"
                )
            }
            guard text.tokens.indices.contains(text.answer) else {
                throw CacheError(
                    .calibration, "an answer after \(text.answer) of \(text.tokens.count) tokens is none")
            }
        }
        try options.check(tokens: texts.map(\.tokens.count), model)
    }

    /// Tokens of all texts.
    public var tokens: Int { texts.reduce(0) { $0 + $1.tokens.count } }
    /// Tokens of the longest text.
    public var longest: Int { texts.map(\.tokens.count).max() ?? 0 }

    /// Bytes that a calibration takes besides the model.
    public var plannedBytes: Int {
        let d = model.description
        let (width, rows) = (d.embeddingLength, d.kvHeads * options.ages.count)
        let float = MemoryLayout<Float>.stride
        let chunk = min(longest, Prefill.chunk)
        let streams = tokens * d.streamLength * float
        let sums = RegressionSums.bytes(ages: options.ages.count, width: width, kvHeads: d.kvHeads)
        let keysAndValues = 2 * longest * d.kvHeads * d.headDimension * float
        let weights = min(PromptBatch.largestBytes, chunk * longest * d.queryHeads * float) * 2
        let network = d.layers.map(\.feedForward.activeLength).max() ?? 0
        let block = chunk * (4 * max(width, d.streamLength) + 3 * network + 2 * d.queryHeads * d.headDimension) * float
        let targets = 3 * longest * rows * float
        return streams + sums + SymmetricSystem.bytes(size: width) + keysAndValues + weights + block + targets
    }

    /// Learns.
    ///
    /// - Parameters:
    ///   - threads: CPU threads; as many as the machine has cores if nil.
    ///   - partial: a file for what is learned so far, written after each layer; the caller removes it when the result is
    ///     safe. If it is there from an earlier call with the same model, texts and options, its layers are not learned
    ///     again; the result is the same.
    ///   - progress: called after each text of a layer; what it throws ends the run, as does cancelling the task.
    /// - Throws: ``CacheError`` of kind `calibration` if the model computes what cannot be learned, `GgmlError`
    ///   when memory is short or the file cannot be written, `CancellationError`.
    public func run(
        threads: Int? = nil, partial: URL? = nil, progress: (Progress) throws -> Void = { _ in }
    ) throws -> Result {
        let threads = threads ?? Processors.usable
        let layers = model.description.layers.count
        let state = PartialCalibration(partial.map { PartialFile($0, digest: digest) }, model, options)
        var learned = state.read()
        let resumed = learned.count
        // A layer that was learned is only passed; nothing follows the last one.
        let total = max(0, texts.count * (2 * layers - 1))
        var done = 0
        func report() throws {
            try Task.checkCancellation()
            done += 1
            try progress(Progress(done: done, total: total, resumed: resumed * texts.count))
        }
        if resumed < layers {
            let pass = try CalibrationPass(model, texts, options, threads: threads)
            for layer in 0..<layers {
                if layer < resumed {
                    done += texts.count
                } else {
                    learned.append(try pass.learn(layer, progress: report))
                    try state.write(learned)
                }
                if layer < layers - 1 { try pass.advance(layer, progress: report) }
            }
        }
        return try result(learned, resumed: resumed)
    }

    private func result(_ learned: [CalibrationPass.Learned], resumed: Int) throws -> Result {
        let heads = model.description.kvHeads
        let (windows, thresholds) = (options.windows.count, options.thresholds.count)
        var counts: [Float] = []
        for row in 0..<windows * thresholds {
            for layer in learned { counts += layer.counts[row * heads..<(row + 1) * heads] }
        }
        let calibration = try Calibration(
            model: model.fingerprint, ages: options.ages, windows: options.windows, thresholds: options.thresholds,
            weights: learned.map(\.fit.weights), biases: learned.map(\.fit.biases), counts: counts,
            provenance: .init(source: source, texts: texts.count, tokens: tokens, longest: longest))
        let explained = options.ages.indices.map { age -> Double? in
            let shares = learned.flatMap { layer in
                stride(from: age, to: layer.fit.explained.count, by: options.ages.count).compactMap {
                    layer.fit.explained[$0].map(Double.init)
                }
            }
            return shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
        }
        return Result(calibration: calibration, explained: explained, resumedLayers: resumed)
    }

    /// Tells runs apart: the model, the texts and the options.
    private var digest: String {
        var checksum = Checksum()
        checksum.add("\(model.fingerprint) \(options) \(texts.count)")
        for text in texts {
            checksum.add("\(text.answer) \(text.tokens.count)")
            text.tokens.withUnsafeBytes { checksum.add($0) }
        }
        return checksum.digits
    }
}

extension Calibrator.Options {
    /// - Parameter tokens: of each text.
    /// - Throws: ``CacheError`` of kind `calibration` if so many tokens are too few for the first age.
    func check(tokens: some Sequence<Int>, _ model: Model) throws {
        let counting = tokens.reduce(0) { $0 + max(0, $1 - ages[0]) }
        guard counting >= leastTokens(model) else {
            throw CacheError(
                .calibration, "\(counting) tokens have a query \(ages[0]) later; \(leastTokens(model)) are needed")
        }
    }

    func validate() throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw CacheError(.invalidPolicy, what) }
        }
        try require(Calibration.areAges(ages), "ages \(ages): \(Calibration.whatAgesAre)")
        try require(Calibration.areWindows(windows), "windows \(windows): \(Calibration.whatWindowsAre)")
        let ascend = zip(thresholds, thresholds.dropFirst()).allSatisfy { $0 < $1 }
        try require(
            !thresholds.isEmpty && ascend && thresholds.allSatisfy(\.isFinite),
            "thresholds: ascending numbers are needed")
        try require(penalty > 0 && penalty.isFinite, "a penalty of \(penalty): more than 0 is needed")
        try require((1...1024).contains(lengthPerAge), "texts \(lengthPerAge) times as long as an age: 1 to 1024")
        try require(leastTokens ?? 2 >= 2, "\(leastTokens ?? 0) tokens for an age: at least 2 are needed")
    }
}
