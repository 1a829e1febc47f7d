import Ggml
import MorphKV
import Testing

/// Where graphs attend in tests: the CPU, and every other device that ggml has here.
struct TestDevice: Sendable, CustomTestStringConvertible {
    let device: Device

    /// With the CPU's backend alone unless GGML_BACKEND_PATH names another one (`make test-devices`).
    static let all: [TestDevice] = Device.all.filter { $0.kind != .accelerator }.map(TestDevice.init)

    var testDescription: String { device.name }
    var isCPU: Bool { device.kind == .cpu }
    /// How far logits may be from those of the CPU's kernel: the order of sums, and on other devices flash attention's
    /// rounding.
    var tolerance: Float { isCPU ? 2e-4 : 2e-3 }

    /// What makes graphs attend there.
    var attention: CacheOptions.AttentionPath { isCPU ? .graph : .automatic }

    /// Options for graphs there.
    func options(_ policy: String, _ type: CacheType = .f32, pins: Bool = false) throws -> CacheOptions {
        try CacheOptions(
            policy: PolicyRegistry.standard.policy(policy), elementType: type, attention: attention, pins: pins)
    }

    /// A random model with a calibration, on the device.
    func model(_ shape: ModelShape) throws -> Model {
        let url = try TestModels.url(shape)
        let model = try Model(contentsOf: url, device: device)
        try TestCalibrations.random(for: model).write(to: Calibration.url(besideModel: url))
        return model
    }
}
