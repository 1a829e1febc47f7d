import Foundation
import MorphKV
import TestSupport
import Testing

/// The runs of an independent oracle of the policy augur (`Tests/Fixtures/traces/augur_oracle.py`), with random models
/// and calibrations: every step, layer and KV head.
@Suite struct AugurTraceTests {
    static let traces = Fixtures.files(in: Fixtures.augur, ending: ".json")

    private static func rerun(_ url: URL, _ trace: Trace, _ options: CacheOptions) throws -> Trace {
        try trace.rerun(
            Model(contentsOf: url.deletingLastPathComponent().appendingPathComponent(trace.model)), options, threads: 1)
    }

    private static func options(
        _ trace: Trace, _ attention: CacheOptions.AttentionPath = .automatic
    ) throws -> CacheOptions {
        CacheOptions(policy: try trace.cachePolicy(), elementType: .f32, attention: attention)
    }

    @Test func allTracesAreThere() throws {
        let traces = try Self.traces.map { try Trace(contentsOf: $0) }
        #expect(traces.count == 13)
        #expect(traces.allSatisfy { $0.policy == "augur" && $0.checkpoints.count == $0.generated.count })
        #expect(Set(traces.map(\.model)).count == 4)
    }

    @Test("kept positions and logits are the oracle's at every step", arguments: traces)
    func repeatsTheTrace(_ url: URL) throws {
        let trace = try Trace(contentsOf: url)
        let run = try Self.rerun(url, trace, Self.options(trace))
        #expect(run.checkpoints.count == trace.checkpoints.count)
        #expect(trace.differences(from: run, tolerance: 1e-3) == [])
    }

    /// Without attention weights there are equal scores, among which a graph chooses as ggml does; heads with numbers of
    /// slots of their own are not for it.
    @Test(
        "the graph of ggml's operations keeps the same",
        arguments: traces.filter { !$0.lastPathComponent.contains(/-l0-|-head-/) })
    func repeatsTheTraceAsAGraph(_ url: URL) throws {
        let trace = try Trace(contentsOf: url)
        let run = try Self.rerun(url, trace, Self.options(trace, .graph))
        #expect(trace.differences(from: run, tolerance: 1e-3) == [])
    }

    @Test(
        "the oracle's calibrations are whole and name the model they lie beside",
        arguments: Fixtures.files(in: Fixtures.augur, ending: ".augur.gguf"))
    func belongsToItsModel(_ url: URL) throws {
        let file = url.deletingPathExtension().deletingPathExtension().appendingPathExtension("gguf")
        let model = try Model(contentsOf: file)
        let calibration = try #require(try model.calibration())
        #expect(calibration.model == model.fingerprint)
        #expect(try calibration == Calibration(contentsOf: url))
    }

    @Test("one other position at one step is found", arguments: [1, 30, 59])
    func aChangedTraceDoesNotPass(step: Int) throws {
        let url = try #require(Self.traces.first { $0.lastPathComponent.contains("group1-layer") })
        var recording = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
        var checkpoints = try #require(recording["checkpoints"] as? [[String: Any]])
        var retained = try #require(checkpoints[step]["retained"] as? [[[Int]]])
        let kept = retained[1][2]
        retained[1][2][0] = try #require((0..<30).first { !kept.contains($0) })
        checkpoints[step]["retained"] = retained
        recording["checkpoints"] = checkpoints
        let changed = try JSONDecoder().decode(Trace.self, from: JSONSerialization.data(withJSONObject: recording))
        let differences = changed.differences(
            from: try Self.rerun(url, changed, Self.options(changed)), tolerance: 1e-3)
        #expect(differences.contains { $0.hasPrefix("step \(step) layer 1 head 2:") })
    }

    @Test(
        "a run with one other parameter does not pass for the recorded one",
        arguments: [
            "capacity=14,window=3,lambda=0.05,budgets=even", "capacity=14,window=3,lambda=0.05,budgets=head",
            "capacity=14,window=3,lambda=0,budgets=layer", "capacity=14,window=4,lambda=0.05,budgets=layer",
            "capacity=15,window=3,lambda=0.05,budgets=layer",
        ])
    func anotherPolicyDoesNotPass(_ parameters: String) throws {
        let url = try #require(Self.traces.first { $0.lastPathComponent.contains("group1-layer-c14-w3-l0.05") })
        let trace = try Trace(contentsOf: url)
        let policy = try PolicyRegistry.standard.policy("augur:\(parameters)")
        let run = try Self.rerun(url, trace, CacheOptions(policy: policy, elementType: .f32))
        #expect(!trace.differences(from: run, tolerance: 1e-3).isEmpty)
    }

    @Test(
        "a capacity without a choice is refused",
        arguments: ["capacity=4,budgets=even", "capacity=5,budgets=layer", "capacity=5,budgets=head"])
    func tooLittleRoom(_ parameters: String) throws {
        let url = try #require(Self.traces.first)
        let trace = try Trace(contentsOf: url)
        let policy = try PolicyRegistry.standard.policy("augur:window=4,\(parameters)")
        #expect {
            try Self.rerun(url, trace, CacheOptions(policy: policy, elementType: .f32))
        } throws: {
            ($0 as? CacheError)?.kind == .invalidPolicy
        }
    }
}
