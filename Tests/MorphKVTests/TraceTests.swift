import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Recorded runs of an independent oracle: which positions each method keeps, step by step.
@Suite struct TraceTests {
    static let traces = Fixtures.files(in: Fixtures.publishedPolicies, ending: ".json")

    @Test func allTracesAreThere() { #expect(Self.traces.count == 19) }

    @Test("kept positions and logits are the oracle's at every checkpoint", arguments: traces)
    func repeatsTheTrace(_ url: URL) throws {
        let trace = try Trace(contentsOf: url)
        let model = try Model(contentsOf: url.deletingLastPathComponent().appendingPathComponent(trace.model))
        let options = CacheOptions(policy: try trace.cachePolicy(), elementType: .f32)
        let run = try trace.rerun(model, options, threads: 1)
        #expect(trace.differences(from: run, tolerance: 1e-3) == [])
    }

    @Test func aDifferentPolicyDoesNotPassForTheRecordedOne() throws {
        let url = try #require(Self.traces.first { $0.lastPathComponent.contains("morphkv-sum-full") })
        let trace = try Trace(contentsOf: url)
        let model = try Model(contentsOf: url.deletingLastPathComponent().appendingPathComponent(trace.model))
        let run = try trace.rerun(
            model, CacheOptions(policy: StreamingPolicy(capacity: 64, sinks: 4), elementType: .f32), threads: 1)
        #expect(!trace.differences(from: run, tolerance: 1e-3).isEmpty)
    }
}

/// What the format of recorded runs means.
@Suite struct TraceFormatTests {
    @Test(
        "parameters that a recording leaves out have the values of the format",
        arguments: [
            (#""morphkv", "params": {"capacity": 24, "window": 8}"#, "normalization=candidates"),
            (#""morphkv", "params": {"capacity": 24, "window": 8, "normalisation": "full"}"#, ""),
            (#""kvzip", "params": {"ratio": 0.5}"#, "repeatFirst=,repeatNext=,postfix="),
            (#""kvzip", "params": {"ratio": 0.5, "repeat_first": [7, 8]}"#, "repeatFirst=7+8,repeatNext=,postfix="),
        ])
    func defaults(_ policy: String, _ ending: String) throws {
        let text = """
            {"format": "kv-eviction-trace/1", "model": "m", "prompt": [], "generated": [], "checkpoints": [],
             "policy": \(policy)}
            """
        let specification = try JSONDecoder().decode(Trace.self, from: Data(text.utf8)).cachePolicy().specification
        #expect(ending.isEmpty ? !specification.contains("normalization") : specification.hasSuffix(ending))
    }
}
