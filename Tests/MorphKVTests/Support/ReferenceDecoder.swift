import Foundation
import Ggml
import MorphKV

/// A Llama or Phi-3 in plain loops and double precision, straight from a file of 32-bit floats: what each layer reads, and
/// every attention weight.
struct ReferenceDecoder {
    /// One layer's share of a text.
    struct Layer {
        /// The normed input by token.
        let inputs: [[Double]]
        /// `[queryHead][query][key]`
        let weights: [[[Double]]]
    }

    private let shape: ModelShape
    private let file: GgufFile
    private let mapping: MappedFile

    init(_ shape: ModelShape, _ url: URL) throws {
        self.shape = shape
        file = try GgufFile(contentsOf: url)
        mapping = try MappedFile(url)
    }

    private typealias Matrix = [[Double]]

    /// The rows of a tensor.
    private func tensor(_ name: String) -> [[Double]] {
        let info = file.tensors[name]!
        precondition(info.type == .f32)
        let bytes = UnsafeRawBufferPointer(rebasing: mapping.bytes[info.offset..<info.offset + info.bytes])
        let values = bytes.bindMemory(to: Float.self).map(Double.init)
        return stride(from: 0, to: values.count, by: info.shape[0]).map { Array(values[$0..<$0 + info.shape[0]]) }
    }

    private func apply(_ matrix: [[Double]], _ x: [Double]) -> [Double] { matrix.map { Self.dot($0, x) } }

    static func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

    private func norm(_ x: [Double], _ weight: [Double]) -> [Double] {
        let scale = 1 / (Self.dot(x, x) / Double(x.count) + Double(shape.epsilon)).squareRoot()
        return zip(x, weight).map { $0 * scale * $1 }
    }

    /// Turns pairs of a head's elements: neighbours for Llama, halves for Phi-3.
    private func rotated(_ x: ArraySlice<Double>, at position: Int) -> [Double] {
        var result = Array(x)
        let half = result.count / 2
        for pair in 0..<half {
            let (i, j) = shape.architecture == "phi3" ? (pair, pair + half) : (2 * pair, 2 * pair + 1)
            let angle = Double(position) * pow(Double(shape.ropeBase), -Double(pair) / Double(half))
            let (a, b) = (result[i], result[j])
            (result[i], result[j]) = (a * cos(angle) - b * sin(angle), a * sin(angle) + b * cos(angle))
        }
        return result
    }

    /// Every layer of a text.
    func layers(of tokens: [Token]) -> [Layer] {
        let table = tensor("token_embd.weight")
        var stream = tokens.map { table[Int($0)] }
        return (0..<shape.layers).map { index in
            let layer = attend(stream, "blk.\(index).")
            stream = layer.output
            return Layer(inputs: layer.inputs, weights: layer.weights)
        }
    }

    /// The weights of one head in the first layer, whose queries and keys have KV heads of their own: `[query][key]`.
    ///
    /// - Parameter first: the first query that is wanted.
    func firstWeights(of tokens: [Token], head: Int, from first: Int = 0) -> [[Double]] {
        precondition(shape.queryHeads == shape.kvHeads && shape.architecture == "llama")
        let (table, norm) = (tensor("token_embd.weight"), tensor("blk.0.attn_norm.weight")[0])
        let rows = head * shape.headDimension..<(head + 1) * shape.headDimension
        func turned(_ name: String) -> [[Double]] {
            let matrix = Array(tensor(name)[rows])
            return tokens.enumerated().map { position, token in
                rotated(apply(matrix, self.norm(table[Int(token)], norm))[...], at: position)
            }
        }
        let (queries, keys) = (turned("blk.0.attn_q.weight"), turned("blk.0.attn_k.weight"))
        return queries.enumerated().dropFirst(first).map { softmax($1, Array(keys[...$0]), query: $0) }
    }

    private func attend(
        _ stream: [[Double]], _ prefix: String
    ) -> (inputs: [[Double]], weights: [[[Double]]], output: [[Double]]) {
        let d = shape.headDimension
        let inputs = stream.map { norm($0, tensor(prefix + "attn_norm.weight")[0]) }
        let projected = project(inputs, prefix)
        func head(_ rows: [[Double]], _ index: Int, _ rotates: Bool) -> [[Double]] {
            rows.enumerated().map { position, row in
                let part = row[index * d..<(index + 1) * d]
                return rotates ? rotated(part, at: position) : Array(part)
            }
        }
        let kvHeads = 0..<shape.kvHeads
        let (keys, values) = (kvHeads.map { head(projected.k, $0, true) }, kvHeads.map { head(projected.v, $0, false) })
        var attended = stream.map { _ in [Double]() }
        var all: [[[Double]]] = []
        for index in 0..<shape.queryHeads {
            let group = index * shape.kvHeads / shape.queryHeads
            let weights = head(projected.q, index, true).enumerated().map { softmax($1, keys[group], query: $0) }
            for (query, row) in weights.enumerated() {
                for element in 0..<d {
                    attended[query].append(row.indices.reduce(0) { $0 + row[$1] * values[group][$1][element] })
                }
            }
            all.append(weights)
        }
        let output = tensor(prefix + "attn_output.weight")
        let middle = zip(stream, attended).map { x, a in zip(x, apply(output, a)).map { $0 + $1 } }
        return (inputs, all, feedForward(middle, prefix))
    }

    private func project(
        _ inputs: [[Double]], _ prefix: String
    ) -> (q: [[Double]], k: [[Double]], v: [[Double]]) {
        func all(_ matrix: [[Double]]) -> [[Double]] { inputs.map { apply(matrix, $0) } }
        guard shape.architecture == "phi3" else {
            return (
                all(tensor(prefix + "attn_q.weight")), all(tensor(prefix + "attn_k.weight")),
                all(tensor(prefix + "attn_v.weight"))
            )
        }
        let matrix = tensor(prefix + "attn_qkv.weight")
        let (queries, keys) = (shape.queryHeads * shape.headDimension, shape.kvHeads * shape.headDimension)
        return (
            all(Array(matrix[..<queries])), all(Array(matrix[queries..<queries + keys])),
            all(Array(matrix[(queries + keys)...]))
        )
    }

    /// The weights that a query gives to all keys; 0 where it does not see them.
    private func softmax(_ query: [Double], _ keys: [[Double]], query position: Int) -> [Double] {
        let first = shape.slidingWindow.map { max(0, position - $0 + 1) } ?? 0
        let scale = 1 / Double(shape.headDimension).squareRoot()
        let scores = keys.indices.map { key in
            (first...position).contains(key) ? Self.dot(query, keys[key]) * scale : -Double.infinity
        }
        let highest = scores.max()!
        let exponentials = scores.map { exp($0 - highest) }
        let sum = exponentials.reduce(0, +)
        return exponentials.map { $0 / sum }
    }

    private func feedForward(_ stream: [[Double]], _ prefix: String) -> [[Double]] {
        let (weight, down) = (tensor(prefix + "ffn_norm.weight")[0], tensor(prefix + "ffn_down.weight"))
        let up = tensor(prefix + "ffn_up.weight")
        let gate = shape.architecture == "phi3" ? Array(up[..<shape.feedForward]) : tensor(prefix + "ffn_gate.weight")
        let raise = shape.architecture == "phi3" ? Array(up[shape.feedForward...]) : up
        return stream.map { x in
            let normed = norm(x, weight)
            let middle = zip(apply(gate, normed), apply(raise, normed)).map { $0 / (1 + exp(-$0)) * $1 }
            return zip(x, apply(down, middle)).map { $0 + $1 }
        }
    }
}
