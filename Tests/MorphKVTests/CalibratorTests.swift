import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// What a calibration learns, against its definition in double precision.
@Suite struct CalibratorTests {
    /// Small enough for whole matrices of attention weights in plain loops.
    static func shape(_ architecture: String = "llama", queryHeads: Int = 4, kvHeads: Int = 2) -> ModelShape {
        ModelShape(
            architecture, embedding: 24, layers: 2, feedForward: 32, queryHeads: queryHeads, kvHeads: kvHeads,
            headDimension: 8, vocabulary: 64, tiesEmbeddings: true, context: 512, ropeBase: 10000)
    }

    static var options: Calibrator.Options {
        var options = Calibrator.Options()
        (options.ages, options.windows, options.leastTokens) = ([1, 4, 16, 64], [2, 8], 60)
        options.lengthPerAge = 1
        options.thresholds = [-1, 0.0001, 0.01, 0.03, 0.1, 0.3]
        return options
    }

    /// Two texts of another length; the second's answer begins after some tokens.
    static func texts(_ lengths: [Int] = [110, 90], vocabulary: Int = 64) -> [Calibrator.Text] {
        lengths.enumerated().map { index, length in
            let tokens = TestModels.tokens(length, vocabulary: vocabulary, seed: UInt64(20 + index))
            return Calibrator.Text(tokens, answer: index * 20)
        }
    }

    static func calibrate(
        _ model: Model, _ texts: [Calibrator.Text] = texts(), _ options: Calibrator.Options = options, threads: Int = 1,
        partial: URL? = nil, progress: (Calibrator.Progress) throws -> Void = { _ in }
    ) throws -> Calibrator.Result {
        try Calibrator(model, texts: texts, source: "test", options: options)
            .run(threads: threads, partial: partial, progress: progress)
    }

    struct Case: Sendable, CustomStringConvertible {
        let architecture: String
        let queryHeads: Int
        let kvHeads: Int
        var slidingWindow: Int?
        var description: String {
            "\(architecture) \(queryHeads)/\(kvHeads)" + (slidingWindow.map { ", window \($0)" } ?? "")
        }

        var shape: ModelShape {
            var shape = CalibratorTests.shape(architecture, queryHeads: queryHeads, kvHeads: kvHeads)
            shape.slidingWindow = slidingWindow
            // A file of a Phi-3 that nobody extended says so.
            if architecture == "phi3" { shape.extraIntegers["rope.scaling.original_context_length"] = shape.context }
            return shape
        }
    }

    static let cases = [
        Case(architecture: "llama", queryHeads: 4, kvHeads: 2), Case(architecture: "llama", queryHeads: 3, kvHeads: 3),
        Case(architecture: "llama", queryHeads: 4, kvHeads: 1),
        Case(architecture: "phi3", queryHeads: 4, kvHeads: 2, slidingWindow: 40),
    ]

    @Test("maps and their fit are those of the definition", arguments: cases)
    func mapsAreExact(_ test: Case) throws {
        let url = try TestModels.url(test.shape)
        let result = try Self.calibrate(Model(contentsOf: url))
        for layer in 0..<test.shape.layers {
            let reference = try reference(test, url, layer)
            for head in 0..<test.kvHeads {
                for (index, age) in Self.options.ages.enumerated() where age < test.slidingWindow ?? .max {
                    let map = reference.map(head: head, age: age)
                    let row = head * Self.options.ages.count + index
                    let own = result.calibration.weights[layer][row * 24..<(row + 1) * 24]
                    let scale = map.weights.map(abs).max()!
                    for (weight, expected) in zip(own, map.weights) {
                        // Weights are stored with eleven bits.
                        #expect(abs(Double(weight) - expected) < 1e-3 * scale, "layer \(layer), row \(row)")
                    }
                    #expect(abs(Double(result.calibration.biases[layer][row]) - map.bias) < 1e-4 * abs(map.bias) + 1e-6)
                }
            }
        }
    }

    @Test("the share that is explained is the mean over layers and heads")
    func fitIsExact() throws {
        let test = Self.cases[0]
        let url = try TestModels.url(test.shape)
        let result = try Self.calibrate(Model(contentsOf: url))
        for (index, age) in Self.options.ages.enumerated() {
            var shares: [Double] = []
            for layer in 0..<test.shape.layers {
                let reference = try reference(test, url, layer)
                shares += (0..<test.kvHeads).map { reference.map(head: $0, age: age).explained }
            }
            let mean = shares.reduce(0, +) / Double(shares.count)
            #expect(abs(try #require(result.explained[index]) - mean) < 1e-4)
        }
    }

    @Test("entries are counted by the scores that slots store", arguments: cases)
    func countsAreExact(_ test: Case) throws {
        let url = try TestModels.url(test.shape)
        let calibration = try Self.calibrate(Model(contentsOf: url)).calibration
        let (options, heads) = (Self.options, test.kvHeads)
        for layer in 0..<test.shape.layers {
            let reference = try reference(test, url, layer)
            for head in 0..<heads {
                // Predictions near the edge between two codes may fall on either side.
                func score(_ text: Int, _ entry: Int, _ age: Int, _ nudge: Float) -> Float {
                    let row = head * options.ages.count + age
                    let weights = calibration.weights[layer][row * 24..<(row + 1) * 24].map(Double.init)
                    let value = ReferenceDecoder.dot(weights, reference.texts[text].layer.inputs[entry])
                    let root = 127 * Float(abs(value + Double(calibration.biases[layer][row]))).squareRoot() + nudge
                    let code = min(127, root.rounded()) / 127
                    return value + Double(calibration.biases[layer][row]) < 0 ? -code * code : code * code
                }
                for (w, window) in options.windows.enumerated() {
                    for (t, threshold) in options.thresholds.enumerated() {
                        let index = ((w * options.thresholds.count + t) * test.shape.layers + layer) * heads + head
                        let bounds = [-0.05, 0.05].map { nudge in
                            reference.count(window: window, threshold: threshold) { score($0, $1, $2, nudge) }
                        }
                        let count = Double(calibration.counts[index])
                        #expect(count >= bounds.min()! - 1e-4 && count <= bounds.max()! + 1e-4)
                    }
                }
            }
        }
        // Not one number for everything.
        #expect(Set(calibration.counts).count > 10)
    }

    private func reference(_ test: Case, _ url: URL, _ layer: Int) throws -> ReferenceCalibration {
        let decoder = try ReferenceDecoder(test.shape, url)
        return ReferenceCalibration(
            options: Self.options, kvHeads: test.kvHeads, slidingWindow: test.slidingWindow,
            texts: Self.texts().map { ($0, decoder.layers(of: $0.tokens)[layer]) })
    }
}
