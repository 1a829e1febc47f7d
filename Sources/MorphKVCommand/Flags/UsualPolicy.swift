internal import Foundation
internal import MorphKV

/// The policy of a cache of constant size for which none is named: augur where a calibration is there, else morphkv.
struct UsualPolicy {
    let name: String
    /// A sentence about the choice; nil where there was none.
    let notice: String?

    /// - Parameter parameters: what is stated about the policy; if augur does not take it, morphkv is meant.
    init(for model: Model, _ parameters: [String]) {
        let file = model.calibrationURL.lastPathComponent
        let (augur, morphKV) = (AugurPolicy.descriptor, MorphKVPolicy.descriptor.name)
        do {
            guard let calibration = try model.calibration() else {
                (name, notice) = (morphKV, nil)
                return
            }
            if let other = parameters.first(where: { augur.parameter($0) == nil }) {
                (name, notice) = (morphKV, "the policy is \(morphKV): \(augur.name) has no parameter '\(other)'")
            } else {
                (name, notice) = (augur.name, "the policy is \(augur.name), by \(file) (\(calibration.provenance))")
            }
        } catch {
            (name, notice) = (morphKV, "the policy is \(morphKV), for the calibration cannot be used: \(error)")
        }
    }
}
