internal import Foundation
internal import Ggml

/// By how much RoPE turns each pair of elements per position, for turning keys that are rotated already.
struct RopeFrequencies: Hashable {
    let pairing: RopeParameters.Pairing
    /// Radians per position, for the first 2 * count elements of a row.
    let radians: [Double]

    /// Follows ggml: the factors divide frequencies; YaRN mixes the scaled and the unscaled one by a ramp. Its magnitude
    /// is left out, because rotated keys have it already.
    ///
    /// - Parameter factors: the model's frequency factors, one per pair; nil for none.
    init(_ rope: RopeParameters, factors: [Float]?) {
        pairing = rope.pairing
        // ggml multiplies by this number again and again, rounded as it is.
        let ratio = Double(Float(pow(Double(rope.base), -2 / Double(rope.dimensions))))
        let ramp = YarnRamp(rope)
        radians = (0..<rope.dimensions / 2).map { pair in
            let extrapolated = pow(ratio, Double(pair)) / Double(factors?[pair] ?? 1)
            let mix = Double(rope.extrapolation) * ramp.share(of: pair)
            return extrapolated * (Double(rope.scale) * (1 - mix) + mix)
        }
    }

    /// Cosines and sines of a turn by so many positions, pair by pair.
    func turn(by positions: Int) -> (cosines: [Float], sines: [Float]) {
        let (cosines, sines) = exactTurn(by: positions)
        return (cosines.map { Float($0) }, sines.map { Float($0) })
    }

    /// The same before it is rounded to 32 bits.
    func exactTurn(by positions: Int) -> (cosines: [Double], sines: [Double]) {
        let angles = radians.map { ($0 * Double(positions)).remainder(dividingBy: 2 * .pi) }
        return (angles.map { cos($0) }, angles.map { sin($0) })
    }
}

/// YaRN's ramp between frequencies that are interpolated and those that are not (arXiv 2309.00071, section 3.2).
private struct YarnRamp {
    private let low: Double
    private let high: Double

    init(_ rope: RopeParameters) {
        func pair(turning times: Float) -> Double {
            let length = Double(rope.originalContext) / (Double(times) * 2 * .pi)
            return Double(rope.dimensions) * log(length) / (2 * log(Double(rope.base)))
        }
        guard rope.extrapolation != 0 else {
            (low, high) = (0, 0)
            return
        }
        low = max(0, pair(turning: rope.betaFast).rounded(.down))
        high = min(Double(rope.dimensions - 1), pair(turning: rope.betaSlow).rounded(.up))
    }

    /// How much of the frequency as it was trained first a pair keeps.
    func share(of pair: Int) -> Double {
        1 - min(1, max(0, (Double(pair) - low) / max(0.001, high - low)))
    }
}
