import Foundation
import Ggml

@testable import MorphKV

/// Random calibrations for random models.
enum TestCalibrations {
    /// Scores spread from about -0.2 to 1; later layers have a little more to keep than earlier ones, as have later heads.
    static func random(for model: Model, ages: [Int] = [1, 4, 16, 64], seed: UInt64 = 5) throws -> Calibration {
        let d = model.description
        var random = SplitMix64(seed: seed)
        let rows = d.kvHeads * ages.count
        let weights = d.layers.map { _ in
            random.normals(rows * d.embeddingLength).map { $0 * 0.3 / Float(d.embeddingLength).squareRoot() }
        }
        let thresholds: [Float] = [-1, 0.05, 0.1, 0.2, 0.4, 0.8]
        let windows = [4, 8]
        var counts: [Float] = []
        for window in windows {
            for threshold in thresholds.indices {
                for place in 0..<d.layers.count * d.kvHeads {
                    let (layer, head) = place.quotientAndRemainder(dividingBy: d.kvHeads)
                    counts.append(Float(20 + 2 * layer + head) / Float(1 + threshold) - Float(window) / 8)
                }
            }
        }
        return try Calibration(
            model: model.fingerprint, ages: ages, windows: windows, thresholds: thresholds, weights: weights,
            biases: d.layers.map { _ in (0..<rows).map { _ in Float(random.next() % 1000) / 1000 * 0.8 } },
            counts: counts, type: .f32,
            provenance: Calibration.Provenance(source: "random", texts: 1, tokens: 1000, longest: 1000))
    }

    /// A model with a random calibration beside it.
    static func model(_ shape: ModelShape, _ type: ElementType = .f32, seed: UInt64 = 3) throws -> Model {
        let model = try Model(contentsOf: TestModels.url(shape, type, seed: seed))
        try random(for: model).write(to: Calibration.url(besideModel: model.url))
        return model
    }
}
