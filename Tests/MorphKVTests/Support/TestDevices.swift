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

    func options(_ policy: String, _ type: CacheType = .f32, pins: Bool = false) throws -> CacheOptions {
        try CacheOptions(
            policy: PolicyRegistry.standard.policy(policy), elementType: type, attention: isCPU ? .graph : .automatic,
            pins: pins)
    }
}
