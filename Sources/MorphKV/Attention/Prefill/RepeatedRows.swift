internal import CAttention
internal import Foundation

/// A part of a text that queries repeat, and the largest weights that its rows get from them.
final class RepeatedRows {
    let chunk: Range<Int>
    /// Rows before the text; the softmax of these weights is over them, the chunk, and what the queries' own text has so far.
    private let front: Range<Int>
    /// Where the queries' own text begins.
    private let own: Int
    private let heads: Int
    /// Sound: `[threads][heads][chunk]`, written by the kernel while a graph computes, each thread its own part.
    private let logarithms: UnsafeMutableBufferPointer<Float>

    /// - Parameters:
    ///   - heads: the KV heads of the layer.
    ///   - threads: at least as many as compute.
    init(chunk: Range<Int>, front: Range<Int>, own: Int, heads: Int, threads: Int) {
        (self.chunk, self.front, self.own, self.heads) = (chunk, front, own, heads)
        logarithms = .allocate(capacity: threads * heads * chunk.count)
        logarithms.initialize(repeating: -.infinity)
    }

    deinit { logarithms.deallocate() }

    /// Tells the kernel; it must not outlive this.
    func describe(in prompt: inout attention_prompt) {
        prompt.largest = logarithms.baseAddress
        prompt.chunk = attention_rows(chunk)
        prompt.front = attention_rows(front)
        prompt.own = Int32(own)
    }

    /// The largest weights so far: `[chunk]` per KV head.
    var largest: [Float] {
        let count = heads * chunk.count
        return (0..<count).map { index in
            exp(stride(from: index, to: logarithms.count, by: count).reduce(-.infinity) { max($0, logarithms[$1]) })
        }
    }
}

extension attention_rows {
    fileprivate init(_ range: Range<Int>) { self.init(begin: Int32(range.lowerBound), end: Int32(range.upperBound)) }
}
