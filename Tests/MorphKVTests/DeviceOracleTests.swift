import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// What others computed, beside graphs on every device that there is.
@Suite struct DeviceOracleTests {
    @Test(
        "kept positions and logits are the oracle's by graph", arguments: TraceTests.published + TraceTests.sinks,
        TestDevice.all)
    func repeatsTheTrace(_ url: URL, on device: TestDevice) throws {
        let trace = try Trace(contentsOf: url)
        let model = try device.model(url.deletingLastPathComponent().appendingPathComponent(trace.model))
        let options = CacheOptions(
            policy: try trace.cachePolicy(), elementType: .f32, attention: device.attention)
        let run = try trace.rerun(model, options, threads: 1)
        #expect(trace.differences(from: run, tolerance: device.isGraphicsCard ? 3e-2 : 1e-3) == [])
    }

    @Test(
        "the logits of a prompt and of steps are libllama's by graph", arguments: Model.architectures, TestDevice.all)
    func equalsLibllama(_ architecture: String, on device: TestDevice) throws {
        let shape = TestModels.shape(architecture, queryHeads: 4, kvHeads: 2)
        let url = try TestModels.url(shape)
        let model: Model
        do {
            model = try device.model(url)
        } catch let error as GgmlError where device.isSpread && error.description.contains("one device") {
            return
        }
        let oracle = try LibllamaOracle(url, contextLength: 256)
        let engine = try Engine(model, device.options("full"), threads: 1)
        let prompt = TestModels.tokens(70, seed: 7)
        var expected = oracle.feed(prompt, at: 0).last!
        try engine.prefill(prompt)
        for step in 0..<8 {
            expectClose(engine.logits, expected, device.tolerance)
            let token = Token(argmax(expected))
            expected = oracle.feed([token], at: prompt.count + step)[0]
            try engine.decode(token)
        }
        expectClose(engine.logits, expected, device.tolerance)
    }
}
