package import Foundation

/// A recorded run: which positions a policy keeps, step by step, and the logits that follow.
///
/// The format is "kv-eviction-trace/1": a prompt and generated token ids, and at some steps the positions retained per
/// layer and KV head and the first logits.
package struct Trace: Codable, Sendable {
    /// The state at one step; step 0 is after the prompt, step t feeds `generated[t - 1]`.
    package struct Checkpoint: Codable, Sendable {
        package let step: Int
        /// Ascending original positions: `[layer][kvHead][entry]`.
        package let retained: [[[Int]]]
        package let logits: [Float]
        package let argmax: Int
    }

    /// A policy's parameter.
    package enum Parameter: Codable, Sendable {
        case number(Double)
        case text(String)
        case numbers([Int])

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .numbers(try container.decode([Int].self))
            }
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .text(let text): try container.encode(text)
            case .numbers(let numbers): try container.encode(numbers)
            }
        }

        var description: String {
            switch self {
            case .number(let number): number == number.rounded() ? "\(Int(number))" : "\(number)"
            case .text(let text): text
            case .numbers(let numbers): numbers.map(String.init).joined(separator: "+")
            }
        }
    }

    package let format: String
    package let model: String
    package let policy: String
    package let params: [String: Parameter]
    package let prompt: [Token]
    package let generated: [Token]
    package var checkpoints: [Checkpoint]

    package init(contentsOf url: URL) throws {
        self = try JSONDecoder().decode(Trace.self, from: Data(contentsOf: url))
    }

    /// What the format means where a parameter is left out and our policy would mean something else.
    private static let defaults = [
        "morphkv": ["normalization": "candidates"],
        "kvzip": ["repeatFirst": "", "repeatNext": "", "postfix": ""],
    ]

    /// The policy that was recorded.
    ///
    /// - Throws: ``CacheError`` if this package has no such policy or parameter.
    package func cachePolicy(_ registry: PolicyRegistry = .standard) throws -> any CachePolicy {
        let renamed = ["normalisation": "normalization"]
        let arguments = params.map { name, value in
            let words = name.split(separator: "_")
            let camelCase = words[0] + words.dropFirst().map(\.capitalized).joined()
            return (renamed[name] ?? String(camelCase), value.description)
        }
        return try registry.policy(
            policy, (Self.defaults[policy] ?? [:]).merging(arguments) { $1 })
    }

    /// Runs the prompt and the generated ids, and records the same steps anew.
    ///
    /// - Parameter cache: 32-bit keys and values repeat a trace exactly; smaller types decide near-ties differently.
    package func rerun(_ model: Model, _ cache: CacheOptions, threads: Int) throws -> Trace {
        let engine = try Engine(model, cache, threads: threads, reserve: prompt.count + generated.count)
        var result = self
        result.checkpoints = []
        let steps = Dictionary(uniqueKeysWithValues: checkpoints.map { ($0.step, $0.logits.count) })
        let last = checkpoints.map(\.step).max() ?? 0
        try engine.prefill(prompt)
        for step in 0...last {
            if step > 0 { try engine.decode(generated[step - 1]) }
            guard let count = steps[step] else { continue }
            let logits = engine.logits
            result.checkpoints.append(
                Checkpoint(
                    step: step, retained: engine.positions, logits: Array(logits.prefix(count)),
                    argmax: logits.indices.max { logits[$0] < logits[$1] } ?? 0))
        }
        return result
    }

    /// How another run differs from this one, one line per difference; none if it is the same.
    ///
    /// - Parameter tolerance: by how much a logit may differ.
    package func differences(from run: Trace, tolerance: Float) -> [String] {
        zip(checkpoints, run.checkpoints).flatMap { expected, actual -> [String] in
            var lines: [String] = []
            for (layer, heads) in actual.retained.enumerated() {
                for (head, positions) in heads.enumerated() {
                    let held = Set(positions)
                    let missing = required(at: expected)[layer][head].filter { !held.contains($0) }
                    let extra = held.subtracting(expected.retained[layer][head]).sorted()
                    if missing.isEmpty, extra.isEmpty { continue }
                    lines.append(
                        "step \(expected.step) layer \(layer) head \(head): missing \(missing), extra \(extra)")
                }
            }
            let error = zip(expected.logits, actual.logits).map { abs($0 - $1) }.max() ?? 0
            if !(error <= tolerance) { lines.append("step \(expected.step): logits differ by \(error)") }
            if expected.argmax != actual.argmax {
                lines.append("step \(expected.step): argmax \(actual.argmax), not \(expected.argmax)")
            }
            return lines
        }
    }

    /// What must be held at a checkpoint; nothing but what was recorded may be.
    ///
    /// The traces append the first generated token to the whole prompt and then cut. We cut at the end of the prompt, so
    /// after it we hold at least what the trace holds one step later. From then on it is the same set.
    private func required(at checkpoint: Checkpoint) -> [[[Int]]] {
        guard checkpoint.step == 0, let next = checkpoints.first(where: { $0.step == 1 }) else {
            return checkpoint.retained
        }
        return next.retained.map { $0.map { $0.filter { $0 < prompt.count } } }
    }
}
