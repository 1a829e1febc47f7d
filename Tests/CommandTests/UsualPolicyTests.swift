import Foundation
import MorphKV
import TestSupport
import Testing

/// Which policy `--capacity` means, with and without a calibration that can be used.
@Suite struct UsualPolicyTests {
    /// What lies beside the model.
    enum Beside: String, CaseIterable {
        case calibration, nothing, damaged, foreign
    }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The demo's model in a folder of its own.
    private func model(with beside: Beside, longest: Int? = nil) throws -> String {
        let model = try folder.write(Data(contentsOf: Fixtures.diary), to: "diary.gguf")
        let file = Calibration.url(besideModel: model)
        switch beside {
        case .nothing: break
        case .calibration: try EmbeddedFiles.calibration(longest: longest).write(to: file)
        case .damaged:
            var bytes = try Data(contentsOf: EmbeddedFiles.calibrationFile)
            bytes[bytes.count - 100] ^= 1
            try bytes.write(to: file)
        case .foreign: try EmbeddedFiles.calibration(model: "another model").write(to: file)
        }
        return model.path
    }

    private func check(_ beside: Beside, policy: String, _ errors: String) {
        switch beside {
        case .calibration:
            #expect(policy == "augur:capacity=64")
            #expect(errors.contains("the policy is augur, by diary.augur.gguf ("), "\(errors)")
        case .nothing:
            #expect(policy == "morphkv:capacity=64" && errors.isEmpty, "\(errors)")
        case .damaged, .foreign:
            #expect(policy == "morphkv:capacity=64")
            #expect(errors.contains("the policy is morphkv, for the calibration cannot be used: "), "\(errors)")
        }
    }

    @Test(arguments: Beside.allCases)
    func generate(_ beside: Beside) throws {
        let arguments = ["generate", "--threads", "1", "-m", try model(with: beside), "-n", "4", "--json", "Week"]
        let result = try Command.run(arguments + ["--capacity", "64"])
        let report = try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        check(beside, policy: try #require(report["policy"] as? String), result.errors)
        #expect(result.errors.split(separator: "\n").count == (beside == .nothing ? 0 : 1))
        // Named, it has to be possible.
        let named = try Command.run(arguments + ["--policy", "augur:capacity=64"])
        #expect((named.status == 0) == (beside == .calibration))
        #expect(named.errors.isEmpty == (beside == .calibration), "\(named.errors)")
    }

    @Test(arguments: Beside.allCases)
    func chat(_ beside: Beside) throws {
        let result = try Command.run(
            ["chat", "--threads", "1", "-m", try model(with: beside), "--capacity", "64"], input: "/policy\n")
        check(beside, policy: result.output.trimmingCharacters(in: .newlines), result.errors)
    }

    @Test(arguments: Beside.allCases)
    func serve(_ beside: Beside) async throws {
        let server = try await ServerProcess(["--capacity", "64"], model: try model(with: beside))
        let policy = try #require(server.announcement.firstMatch(of: /([^ ]+), 4 sequences at a time/))
        check(beside, policy: String(policy.output.1), server.errors)
        let hasCalibration = beside == .calibration
        #expect(server.announcement.contains("calibration  ") == hasCalibration, "\(server.announcement)")
        let metrics = try await server.metrics()
        let bytes = hasCalibration ? try EmbeddedFiles.calibration().bytes : 0
        #expect(metrics["morphkv_calibration_bytes"] == Double(bytes))
        #expect(await server.end() == 0)
    }

    @Test("parameters that augur does not take mean morphkv; without a capacity everything stays")
    func otherParameters() throws {
        let arguments = [
            "generate", "--threads", "1", "-m", try model(with: .calibration), "-n", "4", "--json", "Week",
        ]
        for (flags, policy) in [
            (["--capacity", "64", "--window", "4"], "augur:capacity=64,window=4"),
            (["--capacity", "64", "--fusion", "max"], "morphkv:capacity=64,fusion=max"), ([], "full"),
        ] {
            let result = try Command.run(arguments + flags)
            let report = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
            #expect(report?["policy"] as? String == policy, "\(result.errors)")
            #expect(result.errors.contains("fusion") == flags.contains("--fusion"))
        }
    }

    @Test("a calibration that is named has to be right")
    func named() throws {
        let model = try model(with: .nothing)
        let arguments = ["generate", "--threads", "1", "-m", model, "-n", "4", "--capacity", "64", "Week"]
        let good = try Command.run(arguments + ["--calibration", EmbeddedFiles.calibrationFile.path])
        #expect(good.status == 0 && good.errors.contains("the policy is augur"), "\(good.errors)")
        for file in [model, "/nonexistent.gguf"] {
            let result = try Command.run(arguments + ["--calibration", file])
            #expect(result.status == 1 && result.output.isEmpty && !result.errors.isEmpty)
        }
        let wrong = try Command.run(["calibrate", "-m", model, "--calibration", model])
        #expect(wrong.status != 0 && wrong.errors.contains("--out"), "\(wrong.errors)")
    }

    @Test("inspect says what calibration there is and how it spreads the slots", arguments: Beside.allCases)
    func inspect(_ beside: Beside) throws {
        let file = try model(with: beside)
        let result = try Command.run(["inspect", file, "--capacities", "64"])
        #expect(result.status == 0 && result.output.contains("calibration: "))
        #expect(result.output.contains("augur:capacity=64") == (beside == .calibration))
        guard beside == .calibration else { return }
        let calibration = try EmbeddedFiles.calibration()
        #expect(result.output.contains(calibration.provenance.source))
        #expect(result.output.contains("\(calibration.provenance.tokens) tokens"))
        let slots = try #require(result.output.firstMatch(of: /slots of each layer: ([0-9, ]+)/)).output.1
            .split(separator: ", ").compactMap { Int($0) }
        #expect(slots.count == 5 && slots.reduce(0, +) == 5 * 64 && Set(slots).count > 1)
        let heads = try Command.run(["inspect", file, "--policy", "augur:capacity=64,budgets=head"])
        #expect(heads.output.contains(/slots of each layer: .*[0-9]\/[0-9]/), "\(heads.output)")
    }

    @Test("a sequence longer than the calibration's texts is noted once")
    func lengthNotice() async throws {
        let model = try model(with: .calibration, longest: 30)
        let notice = "the calibration is of texts of up to 30"
        func count(_ text: String) -> Int { text.components(separatedBy: notice).count - 1 }
        for (tokens, expected) in [("4", 0), ("60", 1)] {
            let result = try Command.run([
                "generate", "--threads", "1", "-m", model, "-n", tokens, "--ignore-eos", "--capacity", "64", "Week",
            ])
            #expect(result.status == 0 && count(result.errors) == expected, "\(result.errors)")
        }
        let chat = try Command.run(
            ["chat", "--threads", "1", "-m", model, "--capacity", "64", "-n", "40"], input: "Week\nAnd then?\nAnd?\n")
        #expect(count(chat.errors) == 1, "\(chat.errors)")
        let morphKV = try Command.run([
            "generate", "--threads", "1", "-m", model, "-n", "60", "--ignore-eos", "--policy", "morphkv:capacity=64",
            "Week",
        ])
        #expect(morphKV.errors.isEmpty, "\(morphKV.errors)")
        let server = try await ServerProcess(["--capacity", "64"], model: model)
        for (tokens, expected) in [(4, 0), (60, 1), (60, 1)] {
            let body = #"{"prompt":"In week 3 ","max_tokens":\#(tokens),"temperature":0,"logit_bias":{"2":-100}}"#
            #expect(try await server.complete(body: body).status == 200)
            #expect(count(server.errors) == expected, "\(server.errors)")
        }
        #expect(await server.end() == 0)
    }
}

/// The files that come with the command.
enum EmbeddedFiles {
    static let calibrationFile = Calibration.url(besideModel: Fixtures.diary)

    /// The calibration, or one that says something else about its origin.
    static func calibration(model: String? = nil, longest: Int? = nil) throws -> Calibration {
        let original = try Calibration(contentsOf: calibrationFile)
        var provenance = original.provenance
        if let longest { provenance.longest = longest }
        return try Calibration(
            model: model ?? original.model, ages: original.ages, windows: original.windows,
            thresholds: original.thresholds, weights: original.weights, biases: original.biases,
            counts: original.counts, provenance: provenance)
    }
}
