import Foundation
import TestSupport
import Testing

/// EleutherAI's lm-evaluation-harness, which many figures are made with, against a server as a process.
@Suite struct EvaluationHarnessTests {
    private static let texts = [
        "Once upon a time there was a little girl named Lily. She loved to play outside in the park.",
        "Ben had a red kite. One day he saw a big dog, and the dog wanted to play with the kite too.",
    ]

    @Test(
        "log-likelihoods are those of the command perplexity",
        .enabled(if: PythonClient.harness.path != nil, "needs Python with lm_eval: run scripts/lm-eval-python"),
        arguments: [[], ["--policy", "morphkv:capacity=24,window=8"]])
    func logLikelihoods(flags: [String]) async throws {
        let folder = try TemporaryFolder()
        let rows = try Self.texts.map { String(decoding: try JSONEncoder().encode(["text": $0]), as: UTF8.self) }
        let data = try folder.write(rows.joined(separator: "\n") + "\n", to: "texts.jsonl")
        _ = try folder.write(Self.task(data.path), to: "tasks.yaml")
        let cache = flags.isEmpty ? ["--policy", "full"] : flags
        let server = try await ServerProcess(cache)
        let result = try await PythonClient.harness.run(
            script: "harness.py", ["http://127.0.0.1:\(server.port)", folder.url.path])
        #expect(result.status == 0, "\(result.output)")
        #expect(await server.end() == 0)
        let last = String(result.output.split(separator: "\n").last ?? "")
        let values = try JSONDecoder().decode([Double].self, from: Data(last.utf8))
        try #require(values.count == Self.texts.count, "\(result.output)")
        for (text, value) in zip(Self.texts, values) {
            let file = try folder.write(text, to: "text.txt")
            let measured = try Command.run(
                ["perplexity", "-m", Fixtures.stories.path, "--threads", "1", "-f", file.path, "--json"] + cache)
            let json = try JSONSerialization.jsonObject(with: Data(measured.output.utf8)) as? [String: Any]
            let perplexity = try #require(json?["perplexity"] as? Double, "\(measured.errors)")
            let tokens = try #require(json?["tokens"] as? Double)
            #expect(abs(value / tokens + log(perplexity)) < 1e-4, "\(value) of \(tokens) tokens, \(perplexity)")
        }
    }

    /// A task of texts whose likelihood is asked for.
    private static func task(_ data: String) -> String {
        """
        task: morphkv_texts
        dataset_path: json
        dataset_kwargs:
          data_files:
            test: \(data)
        output_type: loglikelihood_rolling
        test_split: test
        doc_to_text: ""
        doc_to_target: "{{text}}"
        metric_list:
          - metric: bits_per_byte
        metadata:
          version: 1

        """
    }
}
