import Foundation
import MorphKV
import TestSupport

extension TestDevice {
    /// Options for graphs there.
    func options(_ policy: String, _ type: CacheType = .f32, pins: Bool = false) throws -> CacheOptions {
        try CacheOptions(
            policy: PolicyRegistry.standard.policy(policy), elementType: type, attention: attention, pins: pins)
    }

    /// A random model with a calibration, on the device.
    func model(_ shape: ModelShape) throws -> Model {
        let url = try TestModels.url(shape)
        let model = try model(url)
        try TestCalibrations.random(for: model).write(to: Calibration.url(besideModel: url))
        return model
    }
}
