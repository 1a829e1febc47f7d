import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Contexts and prompts that are cut by what the model's calibration foresees.
@Suite struct ForeseenContextTests {
    static let ages = [1, 17, 40, 64, 100]
    static let levels: [Compression.Level] = [.pair, .uniform, .layer(alpha: 0.2), .head(sinks: 2, recent: 10)]

    struct Setup {
        let shape: ModelShape
        let model: Model
        let calibration: Calibration

        init(_ architecture: String = "llama", queryHeads: Int = 4, kvHeads: Int = 2) throws {
            shape = CalibratorTests.shape(architecture, queryHeads: queryHeads, kvHeads: kvHeads)
            let url = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
            try FileManager.default.copyItem(at: TestModels.url(shape), to: url)
            model = try Model(contentsOf: url)
            calibration = try TestCalibrations.random(for: model, ages: ForeseenContextTests.ages)
            try calibration.write(to: Calibration.url(besideModel: url))
        }

        func tokens(_ count: Int = 150) -> [Token] { TestModels.tokens(count, vocabulary: 64, seed: 31) }

        func read(
            _ source: Compression.Source? = .calibration, prefill: CacheOptions.PrefillMode = .exact
        ) throws -> CompressedContext {
            let all = tokens()
            return try CompressedContext(
                reading: Array(all.dropFirst(4)), after: Array(all.prefix(4)), model: model,
                options: CacheOptions(policy: FullPolicy(), elementType: .f32, prefill: prefill), scoredBy: source,
                threads: 1)
        }

        /// The definition, from a decoder in plain loops: `[layer][kvHead][entry behind the first four]`.
        func scores() throws -> [[[Double]]] {
            let tokens = tokens()
            return try ReferenceDecoder(shape, model.url).layers(of: tokens).enumerated().map { index, layer in
                (0..<shape.kvHeads).map { head in
                    (4..<tokens.count).map { position in
                        // Once 16 tokens of a question were read.
                        let age = ages.lastIndex { $0 <= tokens.count - 1 + 16 - position }!
                        let row = head * ages.count + age
                        let width = shape.embedding
                        let weights = calibration.weights[index][row * width..<(row + 1) * width].map(Double.init)
                        return ReferenceDecoder.dot(weights, layer.inputs[position])
                            + Double(calibration.biases[index][row])
                    }
                }
            }
        }
    }

    private static func compression(_ ratio: Double, _ level: Compression.Level = .pair) -> Compression {
        Compression(.ratio(ratio), level: level, source: .calibration)
    }

    private static func refuses(
        _ kind: CacheError.Kind, _ words: String = "", _ body: () throws -> Void,
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect(sourceLocation: location) {
            try body()
        } throws: {
            ($0 as? CacheError)?.kind == kind && (words.isEmpty || "\($0)".contains(words))
        }
    }

    @Test(
        "scores are the map of what each layer reads, for the age behind a short question",
        arguments: [("llama", 4, 2), ("llama", 3, 3), ("phi3", 4, 1)])
    func scoresAreTheDefinition(_ architecture: String, _ queryHeads: Int, _ kvHeads: Int) throws {
        let setup = try Setup(architecture, queryHeads: queryHeads, kvHeads: kvHeads)
        let expected = try setup.scores()
        let contexts = [
            try setup.read(), try setup.read(nil), try setup.read(prefill: .chunked(37)),
            try setup.read(prefill: .chunked(1)),
        ]
        for context in contexts {
            let known = try context.knownScores(.calibration, threads: 1) { _ in }
            #expect(known.scores.tokens == 146)
            for (found, wanted) in zip(known.scores.values, expected) {
                for (found, wanted) in zip(try #require(found), wanted) {
                    #expect(found.count == wanted.count)
                    #expect(zip(found, wanted).allSatisfy { abs(Double($0) - $1) < 1e-4 })
                }
            }
        }
        // Every age but the first, which no entry has by then, counts somewhere.
        #expect(Set(expected.joined().joined()).count > 100)
    }

    @Test("those with the highest scores stay, and what comes before the text")
    func theBestStay() throws {
        let setup = try Setup()
        let expected = try setup.scores()
        var (pair, uniform) = (try setup.read(), try setup.read())
        try pair.compress(.augur(ratio: 0.3), threads: 1)
        try uniform.compress(.augur(ratio: 0.3, level: .uniform), threads: 1)
        // The threshold itself is left out, as KVzip's code has it.
        let threshold = expected.joined().joined().sorted(by: >)[Int(4 * 146 * 0.3) - 1] + 1e-5
        for (layer, heads) in expected.enumerated() {
            for (head, scores) in heads.enumerated() {
                let above = scores.indices.filter { scores[$0] > threshold }.map { $0 + 4 }
                #expect(pair.keptPositions[layer][head] == [0, 1, 2, 3] + above)
                let best = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(Int(146 * 0.3)).map { $0 + 4 }
                #expect(uniform.keptPositions[layer][head] == [0, 1, 2, 3] + best.sorted())
            }
        }
    }

    @Test("a text that was read for its scores is not read again, another once", arguments: levels.indices)
    func nothingIsReadAgain(_ level: Int) throws {
        let setup = try Setup()
        var (once, later) = (try setup.read(), try setup.read(nil))
        #expect(once.statistics.scoreBytes == 146 * 2 * 2 * 4 && later.statistics.scoreBytes == 0)
        #expect(once.statistics.allocatedBytes == later.statistics.allocatedBytes)
        let whole = later
        var (first, second): ([Double], [Double]) = ([], [])
        try once.compress(Self.compression(0.4, Self.levels[level]), threads: 1) { first.append($0) }
        try later.compress(Self.compression(0.4, Self.levels[level]), threads: 1) { second.append($0) }
        #expect(first.isEmpty && second == [1])
        #expect(once.keptPositions == later.keptPositions)
        // Copies share what was found.
        var copy = whole
        try copy.compress(Self.compression(0.2, Self.levels[level]), threads: 1) { second.append($0) }
        #expect(second == [1])
        // Cutting again keeps what cutting once to that ratio keeps.
        guard level < 2 else { return }
        try once.compress(Self.compression(0.2, Self.levels[level]), threads: 1) { first.append($0) }
        #expect(first.isEmpty && once.keptPositions == copy.keptPositions)
    }

    @Test("scores are part of a saved context, beside those that the model repeats the text for")
    func scoresAreSaved() throws {
        let setup = try Setup()
        let whole = try setup.read()
        let repeated = TestContexts.compression(0.3)
        _ = try whole.headScores(repeated.source, threads: 1)
        #expect(whole.statistics.scoreBytes == 2 * 146 * 2 * 2 * 4)
        func reloaded(_ context: CompressedContext) throws -> CompressedContext {
            let url = TestContexts.temporaryFile()
            try context.save(to: url)
            return try CompressedContext(contentsOf: url, model: setup.model)
        }
        for compression in [Self.compression(0.3), repeated] {
            var (direct, loaded) = (whole, try reloaded(whole))
            #expect(loaded.statistics == whole.statistics)
            var parts: [Double] = []
            try direct.compress(compression, threads: 1)
            try loaded.compress(compression, threads: 1) { parts.append($0) }
            #expect(loaded.keptPositions == direct.keptPositions && parts.isEmpty)
            // What stays has both scores.
            var again = try reloaded(loaded)
            for next in [Self.compression(0.1), TestContexts.compression(0.05)] {
                try direct.compress(next, threads: 1)
                try again.compress(next, threads: 1) { parts.append($0) }
                #expect(again.keptPositions == direct.keptPositions && parts.isEmpty)
            }
        }
        var (foreseen, other) = (try setup.read(), whole)
        try foreseen.compress(Self.compression(0.3), threads: 1)
        try other.compress(repeated, threads: 1)
        #expect(foreseen.keptPositions != other.keptPositions)
        foreseen = try reloaded(foreseen)
        Self.refuses(.invalidPolicy, "lacks") { try foreseen.compress(TestContexts.compression(0.1), threads: 1) }
        try foreseen.compress(Self.compression(0.1), threads: 1)
    }

    @Test func answersThatAreKeptHaveNoScoresAndStay() throws {
        let setup = try Setup()
        var context = try setup.read()
        let engine = try context.engine(threads: 1)
        let asked = TestModels.tokens(9, vocabulary: 64, seed: 1)
        try engine.prefill(asked)
        context = context.extended(by: asked, cache: try engine.cache.frozenCopy())
        try context.compress(Self.compression(0.2), threads: 1)
        for heads in context.keptPositions {
            #expect(heads.allSatisfy { Array($0.suffix(9)) == Array(150..<159) && $0.count < 100 })
        }
    }

    @Test("scores of heads come from a calibration too, and layers with a sliding window are not cut")
    func headsAndWindows() throws {
        let setup = try Setup(queryHeads: 8, kvHeads: 4)
        let scores = try setup.read().headScores(.calibration, threads: 1)
        let expected = try setup.scores().map { $0.map { Float($0.max()!) } }
        for (found, wanted) in zip(scores.scores, expected) { expectClose(found, wanted, 1e-4) }
        var context = try TestContexts.make(TestContexts.model("gemma3"), tokens: 200)
        try context.compress(Self.compression(0.3), threads: 1)
        for (layer, positions) in zip(context.model.description.layers, context.keptPositions) {
            let isWhole = positions.allSatisfy { $0 == Array(104..<200) }
            #expect(isWhole == (layer.slidingWindow != nil))
        }
    }

    @Test("the policy kvzip cuts its first prompt by a calibration as a context is cut")
    func promptsAreCut() throws {
        let setup = try Setup()
        let policy = try PolicyRegistry.standard.policy("kvzip:ratio=0.4,level=pair,scores=augur")
        #expect((policy as? KVzipPolicy)?.scores == .augur)
        let options = CacheOptions(policy: policy, elementType: .f32)
        let engine = try Engine(setup.model, options, threads: 1)
        try engine.prefill(setup.tokens())
        var context = try setup.read()
        try context.compress(Self.compression(0.4), threads: 1)
        #expect(engine.positions == context.keptPositions)
        let held = try CompressedContext(reading: setup.tokens(), model: setup.model, options: options, threads: 1)
        #expect(held.keptPositions == context.keptPositions && held.systemTokens == 4)
        #expect(held.statistics.scoreBytes > 0)
        try engine.decode(5)
        #expect(engine.logits.allSatisfy { $0.isFinite })
    }

    @Test("a model without a calibration, and the calibration of another model, are named")
    func aCalibrationIsNeeded() throws {
        let setup = try Setup()
        let beside = Calibration.url(besideModel: setup.model.url)
        try FileManager.default.removeItem(at: beside)
        func check(_ words: String) throws {
            let model = try Model(contentsOf: setup.model.url)
            let options = CacheOptions(policy: FullPolicy(), elementType: .f32)
            func read(_ source: Compression.Source?) throws -> CompressedContext {
                try CompressedContext(
                    reading: setup.tokens(), model: model, options: options, scoredBy: source, threads: 1)
            }
            Self.refuses(.calibration, words) { _ = try read(.calibration) }
            var context = try read(nil)
            let before = context.statistics
            Self.refuses(.calibration, words) { try context.compress(Self.compression(0.3), threads: 1) }
            #expect(context.statistics == before && context.isWhole)
            let policy = try PolicyRegistry.standard.policy("kvzip:scores=augur")
            Self.refuses(.calibration, words) { _ = try Engine(model, options.with(policy), threads: 1) }
        }
        try check("morphkv calibrate")
        try TestCalibrations.random(for: TestContexts.model()).write(to: beside)
        try check("is of the model")
    }

    @Test("a context that was cut by other means has no scores, and says so")
    func otherCutsHaveNoScores() throws {
        let setup = try Setup()
        let policy = try PolicyRegistry.standard.policy("snapkv:promptCapacity=64,window=8")
        var context = try CompressedContext(
            reading: setup.tokens(), model: setup.model, options: CacheOptions(policy: policy, elementType: .f32),
            scoredBy: .calibration, threads: 1)
        #expect(context.statistics.scoreBytes == 0)
        Self.refuses(.invalidPolicy, "lacks") { try context.compress(Self.compression(0.3), threads: 1) }
    }
}
