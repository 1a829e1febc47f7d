package import Foundation
import Ggml
package import MorphKV

/// Where graphs attend in tests: the CPU, every other device that ggml has here, and workers in other processes.
package struct TestDevice: Sendable, CustomStringConvertible {
    private enum Place {
        case here(Device)
        case elsewhere(TestPlacement)
    }

    private let place: Place

    /// The CPU by graph and every other device that ggml has here; where the environment names some, those alone, because the
    /// others have their turn without it: GGML_BACKEND_PATH a backend, MORPHKV_TEST_WORKERS workers (`make test-devices`).
    package static let all: [TestDevice] = {
        let here = Device.all.filter {
            $0.kind != .accelerator && $0.host == nil && (includesKernel || $0.kind != .cpu)
        }
        let elsewhere = environment["MORPHKV_TEST_WORKERS"] == nil ? [] : TestPlacement.allCases
        return here.map { TestDevice(place: .here($0)) } + elsewhere.map { TestDevice(place: .elsewhere($0)) }
    }()

    /// Whether tests of every device are about the CPU's kernel too.
    package static let includesKernel =
        environment["GGML_BACKEND_PATH"] == nil && environment["MORPHKV_TEST_WORKERS"] == nil

    private static var environment: [String: String] { ProcessInfo.processInfo.environment }

    /// This process's own CPU, by graph.
    package static let cpu: TestDevice = {
        do { return TestDevice(place: .here(try .cpu())) } catch { fatalError("\(error)") }
    }()

    /// Where the environment's MORPHKV_TEST_DEVICE has suites run that know nothing of devices: `graph` for the CPU by
    /// graph, `worker`, `workers`, `cpuAndWorker`, or a device's name; nil for the CPU's kernel.
    package static let chosen: TestDevice? = {
        guard let name = environment["MORPHKV_TEST_DEVICE"] else { return nil }
        if name == "graph" { return cpu }
        if let placement = TestPlacement.allCases.first(where: { "\($0)" == name }) {
            return TestDevice(place: .elsewhere(placement))
        }
        guard let device = Device.all.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            fatalError("MORPHKV_TEST_DEVICE is \(name), but the devices are \(Device.all.map(\.name))")
        }
        return TestDevice(place: .here(device))
    }()

    package var description: String {
        switch place {
        case .here(let device): device.name
        case .elsewhere(let placement): placement.rawValue
        }
    }

    package var isCPU: Bool {
        if case .here(let device) = place { device.kind == .cpu } else { false }
    }

    /// Whether a model with more than one hidden state per token cannot be there.
    package var isSpread: Bool {
        if case .elsewhere(let placement) = place { placement != .worker } else { false }
    }

    /// Whether numbers are added up in an order of its own.
    package var isGraphicsCard: Bool {
        if case .here(let device) = place { device.kind != .cpu } else { false }
    }

    /// How far logits may be from those of the CPU's kernel: the order of sums, and on other devices flash attention's
    /// rounding.
    package var tolerance: Float { isGraphicsCard ? 2e-3 : 2e-4 }

    /// What makes graphs attend there.
    package var attention: CacheOptions.AttentionPath { isCPU ? .graph : .automatic }

    /// A model there.
    package func model(_ url: URL) throws -> Model {
        switch place {
        case .here(let device): try Model(contentsOf: url, device: device)
        case .elsewhere(let placement): try placement.model(url)
        }
    }
}
