import Foundation
import Ggml
import MorphKV
import Testing

/// Where graphs attend in tests: the CPU, every other device that ggml has here, and workers in other processes.
struct TestDevice: Sendable, CustomTestStringConvertible {
    private enum Place {
        case here(Device)
        case elsewhere(TestPlacement)
    }

    private let place: Place

    /// With the CPU's backend alone unless GGML_BACKEND_PATH names another one or MORPHKV_TEST_WORKERS is set
    /// (`make test-devices`).
    static let all: [TestDevice] =
        Device.all.filter { $0.kind != .accelerator && $0.host == nil }.map { TestDevice(place: .here($0)) }
        + (ProcessInfo.processInfo.environment["MORPHKV_TEST_WORKERS"] == nil
            ? [] : TestPlacement.allCases.map { TestDevice(place: .elsewhere($0)) })

    var testDescription: String {
        switch place {
        case .here(let device): device.name
        case .elsewhere(let placement): placement.rawValue
        }
    }

    /// Whether it is this process's own CPU.
    var isCPU: Bool {
        if case .here(let device) = place { device.kind == .cpu } else { false }
    }

    /// Whether a model with more than one hidden state per token cannot be there.
    var isSpread: Bool {
        if case .elsewhere(let placement) = place { placement != .worker } else { false }
    }

    /// How far logits may be from those of the CPU's kernel: the order of sums, and on other devices flash attention's
    /// rounding.
    var tolerance: Float {
        if case .here(let device) = place, device.kind != .cpu { 2e-3 } else { 2e-4 }
    }

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
        let model =
            switch place {
            case .here(let device): try Model(contentsOf: url, device: device)
            case .elsewhere(let placement): try placement.model(url)
            }
        try TestCalibrations.random(for: model).write(to: Calibration.url(besideModel: url))
        return model
    }
}
