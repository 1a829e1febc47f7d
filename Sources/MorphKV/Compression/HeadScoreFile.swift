public import Foundation

/// Scores of heads in a file: ours, KVzip's (`utils/head_score/*.pt`) or DuoAttention's (`full_attention_heads.tsv`).
///
/// | form | what it holds |
/// |---|---|
/// | JSON | ``HeadScores``: the model's fingerprint, `[layer][kvHead]` |
/// | `.pt` | one PyTorch tensor `[layer, kvHead]` of 16, 32 or 64 bits: the largest score of each head |
/// | `.tsv` | a line for each layer, a number for each KV head, separated by tabs; from 0 to 1 |
///
/// The last two do not say which model they belong to; only their shape can be checked.
public struct HeadScoreFile: Sendable, Hashable {
    /// How a file is written.
    public enum Form: String, Sendable, Hashable, CaseIterable {
        /// Ours.
        case json
        /// KVzip's.
        case torch = "pt"
        /// DuoAttention's.
        case table = "tsv"

        /// The form that a file's extension names; ours for any other.
        public init(of url: URL) { self = Form(rawValue: url.pathExtension.lowercased()) ?? .json }
    }

    /// The fingerprint of the model that the scores belong to; nil if the file does not say.
    public let model: String?
    /// `[layer][kvHead]`; layers that are never cut have no scores, or scores that do not count.
    public let scores: [[Float]]

    /// Takes scores that were found here.
    public init(_ heads: HeadScores) {
        model = heads.model
        scores = heads.scores
    }

    private init(_ scores: [[Float]]) {
        model = nil
        self.scores = scores
    }

    /// Reads a file of any form, which its content shows. Nothing in it is run.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` that names the file and says what is wrong with it.
    public init(contentsOf url: URL) throws {
        let data: Data
        do { data = try Data(contentsOf: url) } catch {
            throw CacheError(.invalidPolicy, "\(url.path) cannot be read: \(error.localizedDescription)")
        }
        do {
            if data.starts(with: StoredZip.start) {
                self.init(try Self.rows(of: TorchTensor(file: data)))
            } else if data.first == UInt8(ascii: "{") {
                self.init(try JSONDecoder().decode(HeadScores.self, from: data))
            } else {
                self.init(try Self.rows(ofTable: data))
            }
        } catch let error as HeadScoreProblem {
            throw CacheError(.invalidPolicy, "\(url.path) does not hold scores of heads: \(error.what)")
        } catch {
            throw CacheError(.invalidPolicy, "\(url.path) does not hold scores of heads")
        }
    }

    /// The larger of each two scores, as KVzip takes several files of one model.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` if their models or shapes differ.
    public func maximum(_ other: HeadScoreFile) throws -> HeadScoreFile {
        guard model == nil || other.model == nil || model == other.model,
            scores.map(\.count) == other.scores.map(\.count)
        else { throw CacheError(.invalidPolicy, "the files of scores of heads are of different models or shapes") }
        let largest = zip(scores, other.scores).map { zip($0, $1).map { max($0, $1) } }
        guard let model = model ?? other.model else { return HeadScoreFile(largest) }
        return HeadScoreFile(HeadScores(model: model, scores: largest))
    }

    /// The scores for a model: those of its layers that are cut.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` if they do not have its shape.
    public func heads(for model: Model) throws -> HeadScores {
        if let own = self.model { return HeadScores(model: own, scores: scores) }
        let layers = model.description.layers
        guard scores.count == layers.count, zip(scores, layers).allSatisfy({ $0.count == $1.kvHeads }) else {
            let shape = "\(scores.count) layers with \(scores.first?.count ?? 0) heads"
            throw CacheError(
                .invalidPolicy,
                "the scores are of \(shape), the model has \(layers.count) with \(model.description.kvHeads) KV heads")
        }
        return HeadScores(
            model: model.fingerprint, scores: zip(scores, layers).map { $1.slidingWindow == nil ? $0 : [] })
    }

    /// Writes a file. Layers that are never cut have zeros in the forms that need a number for every head.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` if the form cannot hold the scores, or what writing throws.
    public func write(to url: URL, as form: Form) throws {
        switch form {
        case .json:
            guard let model else { throw CacheError(.invalidPolicy, "nobody said which model the scores belong to") }
            try JSONEncoder().encode(HeadScores(model: model, scores: scores)).write(to: url, options: .atomic)
        case .torch:
            try TorchTensor(rows: fullRows()).file(named: "head_score").write(to: url, options: .atomic)
        case .table:
            // Scores are largest weights, so from 0 to 1 as DuoAttention's.
            let lines = try fullRows().map { row in
                row.map { String(format: "%.18e", Double($0)) }.joined(separator: "\t") + "\n"
            }
            try Data(lines.joined().utf8).write(to: url, options: .atomic)
        }
    }

    private func fullRows() throws -> [[Float]] {
        let width = scores.map(\.count).max() ?? 0
        guard width > 0, scores.allSatisfy({ $0.isEmpty || $0.count == width }) else {
            throw CacheError(.invalidPolicy, "layers have different numbers of heads, which only JSON can hold")
        }
        return scores.map { $0.isEmpty ? Array(repeating: 0, count: width) : $0 }
    }

    // MARK: Reading

    private static func rows(of tensor: TorchTensor) throws -> [[Float]] {
        // KVzip drops dimensions of 1 when it reads; leading ones mean nothing.
        var shape = tensor.shape[...]
        while shape.count > 2, shape.first == 1 { shape.removeFirst() }
        guard shape.count == 2, let width = shape.last, width > 0 else {
            throw HeadScoreProblem("its tensor has the shape \(tensor.shape), not layers and heads")
        }
        return stride(from: 0, to: tensor.values.count, by: width).map { Array(tensor.values[$0..<$0 + width]) }
    }

    /// DuoAttention's values are trained without bounds and read as what they are cut to, 0 to 1.
    private static func rows(ofTable data: Data) throws -> [[Float]] {
        guard let text = String(data: data, encoding: .utf8) else { throw HeadScoreProblem("it is not text") }
        let rows = try text.split(whereSeparator: \.isNewline).enumerated().map { index, line in
            try line.split(separator: "\t", omittingEmptySubsequences: false).map { word in
                guard let number = Double(word.trimmingCharacters(in: .whitespaces)), number.isFinite else {
                    throw HeadScoreProblem("line \(index + 1) has '\(word.prefix(20))' where a number is needed")
                }
                return Float(min(max(number, 0), 1))
            }
        }
        guard let width = rows.first?.count, rows.allSatisfy({ $0.count == width }) else {
            throw HeadScoreProblem("its lines have different numbers of heads")
        }
        return rows
    }
}

/// What is wrong with a file of scores.
struct HeadScoreProblem: Error {
    let what: String

    init(_ what: String) { self.what = what }
}
