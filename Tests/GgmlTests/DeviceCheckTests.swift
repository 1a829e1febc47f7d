import Ggml
import Testing

/// What a device must compute as the CPU does before a model is loaded on it.
@Suite struct DeviceCheckTests {
    @Test("every device that there is computes what models and caches are made of", arguments: Device.all)
    func devices(_ device: Device) throws {
        guard device.kind != .accelerator else { return }
        try DeviceCheck.run(device)
        // The second time it is known.
        try DeviceCheck.run(device)
    }

    @Test("a wrong number is an error that names the operation", arguments: [1.2, .nan, .infinity] as [Float])
    func wrong(_ value: Float) throws {
        let error = #expect(throws: GgmlError.self) {
            try DeviceCheck.compare("soft_max", expected: [0.5, 1], found: [0.5, value], device: "Abacus0")
        }
        #expect(error?.kind == .device)
        #expect(error?.description.contains("soft_max") == true && error?.description.contains("Abacus0") == true)
        try DeviceCheck.compare(
            "soft_max", expected: [0.5, -.infinity], found: [0.501, -.infinity], device: "Abacus0")
    }
}
