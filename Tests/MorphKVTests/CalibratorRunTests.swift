import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// A calibration as a run: threads, stopping and going on, bad input, hostile numbers.
@Suite struct CalibratorRunTests {
    private let folder = TestModels.folder.appendingPathComponent(UUID().uuidString)

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private func bytes(_ result: Calibrator.Result) throws -> Data {
        let url = folder.appendingPathComponent("\(UUID().uuidString).gguf")
        try result.calibration.write(to: url)
        return try Data(contentsOf: url)
    }

    private func expectClose(_ a: Calibration, _ b: Calibration, _ tolerance: Float) {
        for (own, other) in zip(a.weights + a.biases, b.weights + b.biases) {
            let scale = other.map(abs).max()!
            #expect(own.count == other.count && zip(own, other).allSatisfy { abs($0 - $1) <= tolerance * scale })
        }
    }

    @Test("threads change nothing beyond rounding")
    func threads() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        let (one, two) = (try CalibratorTests.calibrate(model), try CalibratorTests.calibrate(model, threads: 3))
        expectClose(one.calibration, two.calibration, 1e-3)
    }

    /// More tokens than a chunk of a prompt, a batch of queries and a batch of the sums have.
    @Test("a text longer than every batch gives what single queries give")
    func batches() throws {
        var shape = CalibratorTests.shape("llama", queryHeads: 16, kvHeads: 16)
        (shape.layers, shape.headDimension, shape.context) = (1, 4, 2048)
        let model = try Model(contentsOf: TestModels.url(shape))
        // The scores of 512 queries of 16 heads over 1,024 tokens are 32 MB.
        let texts = CalibratorTests.texts([1100])
        var options = CalibratorTests.options
        options.ages = [1, 40]
        let calibration = try CalibratorTests.calibrate(model, texts, options).calibration
        let decoder = try ReferenceDecoder(shape, model.url)
        for head in [3, 14] {
            let targets = targets(of: texts[0].tokens, decoder, head: head, ages: options.ages)
            for (index, age) in options.ages.enumerated() {
                let row = head * options.ages.count + index
                // The intercept is free, so predictions and targets have the same mean.
                let predicted = mean(of: texts[0].tokens.dropLast(age), calibration, row, decoder, shape)
                let expected = targets[index].dropLast(age).reduce(0, +) / Double(1100 - age)
                #expect(abs(predicted - expected) < 1e-3 * expected, "head \(head), age \(age)")
            }
        }
    }

    /// The mean score of some tokens in the first layer, whose input depends on the token alone.
    private func mean(
        of tokens: ArraySlice<Token>, _ calibration: Calibration, _ row: Int, _ decoder: ReferenceDecoder,
        _ shape: ModelShape
    ) -> Double {
        let width = shape.embedding
        let scores = (0..<Token(shape.vocabulary)).map { token in
            let weights = calibration.weights[0][row * width..<(row + 1) * width].map(Double.init)
            return ReferenceDecoder.dot(weights, decoder.layers(of: [token])[0].inputs[0])
                + Double(calibration.biases[0][row])
        }
        return tokens.reduce(0) { $0 + scores[Int($1)] } / Double(tokens.count)
    }

    /// The largest weights that tokens receive in one head of the first layer: `[age][token]`.
    private func targets(of tokens: [Token], _ decoder: ReferenceDecoder, head: Int, ages: [Int]) -> [[Double]] {
        var result = Array(repeating: Array(repeating: 0.0, count: tokens.count), count: ages.count)
        for (query, weights) in decoder.firstWeights(of: tokens, head: head).enumerated() {
            for (index, age) in ages.enumerated() where age <= query {
                for key in 0...query - age { result[index][key] = max(result[index][key], weights[key]) }
            }
        }
        return result
    }

    @Test("a run that was stopped goes on and gives the identical file", arguments: [1, 3, 5])
    func stopAndContinue(_ after: Int) throws {
        var shape = CalibratorTests.shape()
        shape.layers = 3
        let model = try Model(contentsOf: TestModels.url(shape))
        let whole = try bytes(CalibratorTests.calibrate(model))
        let partial = folder.appendingPathComponent("partial")
        struct Stopped: Error {}
        #expect(throws: Stopped.self) {
            try CalibratorTests.calibrate(model, partial: partial) { if $0.done == after { throw Stopped() } }
        }
        var first: Calibrator.Progress?
        let result = try CalibratorTests.calibrate(model, partial: partial) { first = first ?? $0 }
        // Two texts; a layer is learned, then passed.
        #expect(result.resumedLayers == (after + 1) / 4 && first?.resumed == 2 * result.resumedLayers)
        #expect(try bytes(result) == whole)
    }

    @Test("what another run or a damaged file left is not used")
    func foreignPartialFiles() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        let partial = folder.appendingPathComponent("partial")
        let whole = try bytes(CalibratorTests.calibrate(model, partial: partial))
        #expect(try CalibratorTests.calibrate(model, partial: partial).resumedLayers == 2)
        let other = try CalibratorTests.calibrate(model, CalibratorTests.texts([111, 90]), partial: partial)
        #expect(other.resumedLayers == 0)
        var damaged = try Data(contentsOf: partial)
        damaged[damaged.count / 2] ^= 1
        try damaged.write(to: partial)
        let again = try CalibratorTests.calibrate(model, partial: partial)
        #expect(again.resumedLayers == 0)
        #expect(try bytes(again) == whole)
    }

    @Test("an age with too few tokens takes the map of the age before, and says so")
    func fewTokens() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        var options = CalibratorTests.options
        options.leastTokens = 100
        let result = try CalibratorTests.calibrate(model, CalibratorTests.texts(), options)
        #expect(result.explained.map { $0 != nil } == [true, true, true, false])
        for layer in result.calibration.weights {
            for row in [3, 7] {
                #expect(layer[row * 24..<(row + 1) * 24].elementsEqual(layer[(row - 1) * 24..<row * 24]))
            }
        }
        #expect(result.calibration.provenance == .init(source: "test", texts: 2, tokens: 200, longest: 110))
    }

    @Test("an age for which no text is long enough takes the map of the age before")
    func shortTexts() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        var options = CalibratorTests.options
        let all = try CalibratorTests.calibrate(model)
        // 110 tokens are less than 4 times 64, but not less than 4 times 16.
        options.lengthPerAge = 4
        let some = try CalibratorTests.calibrate(model, CalibratorTests.texts(), options)
        #expect(some.explained.map { $0 != nil } == [true, true, true, false])
        for (learned, whole) in zip(some.calibration.weights, all.calibration.weights) {
            for row in 0..<8 {
                let taken = row % 4 == 3 ? row - 1 : row
                #expect(learned[row * 24..<(row + 1) * 24].elementsEqual(whole[taken * 24..<(taken + 1) * 24]))
            }
        }
    }

    @Test("bad input is refused with an error that says what is wrong")
    func badInput() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        func expect(_ kind: CacheError.Kind, _ texts: [Calibrator.Text], _ options: Calibrator.Options) {
            let error = #expect(throws: CacheError.self) { try CalibratorTests.calibrate(model, texts, options) }
            #expect(error?.kind == kind)
        }
        let (texts, options) = (CalibratorTests.texts(), CalibratorTests.options)
        expect(.calibration, [], options)
        expect(.calibration, texts + [.init([1, 2, 3])], options)
        expect(.calibration, [.init(texts[0].tokens, answer: 110)], options)
        expect(.calibration, [.init(texts[0].tokens, answer: -1)], options)
        expect(.invalidToken, [.init(texts[0].tokens + [64])], options)
        var usual = options
        usual.leastTokens = nil
        expect(.calibration, texts, usual)
        let changes: [(inout Calibrator.Options) -> Void] = [
            { $0.ages = [] }, { $0.ages = [0, 1] }, { $0.ages = [4, 2] }, { $0.windows = [] }, { $0.windows = [-1] },
            { $0.thresholds = [] }, { $0.thresholds = [.nan] }, { $0.penalty = 0 }, { $0.penalty = .infinity },
            { $0.leastTokens = 0 }, { $0.lengthPerAge = 0 }, { $0.ages = [1, 1 << 25] }, { $0.windows = [8, 1 << 25] },
        ]
        for change in changes {
            var changed = options
            change(&changed)
            expect(.invalidPolicy, texts, changed)
        }
    }

    @Test("a model whose numbers are not finite gives an error and no calibration", arguments: [Float.nan, .infinity])
    func hostileNumbers(_ value: Float) throws {
        let url = try TestModels.url(CalibratorTests.shape())
        let file = try GgufFile(contentsOf: url)
        var bytes = try Data(contentsOf: url)
        let start = try #require(file.tensors["blk.1.attn_k.weight"]).offset
        withUnsafeBytes(of: value) { bytes.replaceSubrange(start..<start + 4, with: $0) }
        try bytes.write(to: url)
        let error = #expect(throws: CacheError.self) { try CalibratorTests.calibrate(Model(contentsOf: url)) }
        #expect(error?.kind == .calibration)
    }

    @Test("an input that never changes says nothing and breaks nothing")
    func constantInputs() throws {
        let model = try Model(contentsOf: TestModels.url(CalibratorTests.shape()))
        let text = Calibrator.Text(Array(repeating: 7, count: 120))
        let calibration = try CalibratorTests.calibrate(model, [text]).calibration
        // The first layer reads the same vector at every position.
        #expect(calibration.weights[0].allSatisfy { $0 == 0 })
        #expect(calibration.biases[0].allSatisfy { $0 > 0 && $0 < 1 })
    }
}
