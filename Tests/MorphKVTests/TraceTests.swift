import Foundation
import Ggml
import MorphKV
import TestSupport
import Testing

/// Recorded runs of independent oracles: which positions each method keeps, step by step.
@Suite struct TraceTests {
    static let published = Fixtures.files(in: Fixtures.publishedPolicies, ending: ".json")
    /// Of models with learned sinks.
    static let sinks = Fixtures.files(in: Fixtures.sinks, ending: ".json")

    @Test func allTracesAreThere() throws {
        #expect(Self.published.count == 19 && Self.sinks.count == 13)
        let policies = try Set(Self.sinks.map { try Trace(contentsOf: $0).policy })
        #expect(policies == ["morphkv", "h2o", "tova", "augur", "snapkv", "adakv", "kvzip"])
    }

    private static func model(of trace: Trace, at url: URL) throws -> Model {
        try Model(contentsOf: url.deletingLastPathComponent().appendingPathComponent(trace.model))
    }

    private static func differences(
        from trace: Trace, _ model: Model, _ attention: CacheOptions.AttentionPath = .automatic
    ) throws -> [String] {
        let options = CacheOptions(policy: try trace.cachePolicy(), elementType: .f32, attention: attention)
        return trace.differences(from: try trace.rerun(model, options, threads: 1), tolerance: 1e-3)
    }

    @Test("kept positions and logits are the oracle's at every checkpoint", arguments: published + sinks)
    func repeatsTheTrace(_ url: URL) throws {
        let trace = try Trace(contentsOf: url)
        #expect(try Self.differences(from: trace, Self.model(of: trace, at: url)) == [])
    }

    @Test(
        "the graph of ggml's operations keeps the same beside sinks",
        arguments: sinks.filter { !$0.lastPathComponent.contains(/adakv|kvzip/) })
    func repeatsTheTraceAsAGraph(_ url: URL) throws {
        let trace = try Trace(contentsOf: url)
        #expect(try Self.differences(from: trace, Self.model(of: trace, at: url), .graph) == [])
    }

    @Test("a model whose sinks take nothing does not keep what is recorded", arguments: ["05", "06", "10", "11"])
    func withoutSinksOthersStay(_ number: String) throws {
        let url = try #require(Self.sinks.first { $0.lastPathComponent.hasPrefix(number) })
        let trace = try Trace(contentsOf: url)
        let original = try Self.model(of: trace, at: url).url
        var bytes = [UInt8](try Data(contentsOf: original))
        for tensor in try GgufFile(contentsOf: original).tensors.values where tensor.name.contains("attn_sinks") {
            let nothing = [Float](repeating: -1e9, count: tensor.shape[0]).withUnsafeBytes { Array($0) }
            bytes.replaceSubrange(tensor.offset..<tensor.offset + tensor.bytes, with: nothing)
        }
        let copy = TestModels.folder.appendingPathComponent("\(UUID().uuidString).gguf")
        try Data(bytes).write(to: copy)
        let differences = try Self.differences(from: trace, Model(contentsOf: copy))
        #expect(differences.contains { $0.contains("missing") })
    }

    @Test func aDifferentPolicyDoesNotPassForTheRecordedOne() throws {
        let url = try #require(Self.published.first { $0.lastPathComponent.contains("morphkv-sum-full") })
        let trace = try Trace(contentsOf: url)
        let run = try trace.rerun(
            Self.model(of: trace, at: url),
            CacheOptions(policy: StreamingPolicy(capacity: 64, sinks: 4), elementType: .f32), threads: 1)
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
