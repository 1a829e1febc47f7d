import CAttention
import Testing

/// Heads that threads share out among them, where a batch has enough of them for all.
@Suite struct SharedUnitTests {
    /// Entries of the sequences: with one, threads work together on the last head; with many, each has heads of its own; and
    /// where one is much longer than the others, they work together again.
    static let lengths = [[300], [300, 300], [40, 300, 41, 7, 300, 299, 200, 1], [40, 3000]]

    @Test(
        "what a sequence gets does not depend, bit for bit, on how a batch's heads are shared out",
        arguments: lengths, [1, 3, 5])
    func isIndependent(_ lengths: [Int], heads: Int) {
        for (keyType, sinks) in [(ATTENTION_F16, false), (ATTENTION_Q8_0, true)] {
            let shapes = lengths.map {
                KernelCase.Shape(
                    keyType: keyType, dimension: 40 + (keyType == ATTENTION_F16 ? 0 : 24), heads: heads, slots: $0 + 1,
                    used: $0, frozen: Array(repeating: $0 % 50, count: heads))
            }
            for level in levels {
                for threads in [2, 3, 4] {
                    func cases() -> [KernelCase] {
                        shapes.enumerated().map { index, shape in
                            let test = KernelCase(shape, seed: UInt64(index))
                            if sinks { test.sinks = KernelCase.sinks(shape) }
                            return test
                        }
                    }
                    let size = heads * shapes[0].dimension
                    let all = cases()
                    let inputs = all.map { ($0.floats(2 * size).map { $0 * 8 }, $0.floats(size), $0.floats(size)) }
                    let together = KernelCase.run(
                        all, queries: inputs.flatMap(\.0), newKeys: inputs.flatMap(\.1), newValues: inputs.flatMap(\.2),
                        level: level, threads: threads)
                    for (index, test) in cases().enumerated() {
                        let (queries, keys, values) = inputs[index]
                        let alone = test.run(
                            queries: queries, newKeys: keys, newValues: values, level: level, threads: threads)
                        #expect(alone == Array(together[index * 2 * size..<(index + 1) * 2 * size]))
                    }
                }
            }
        }
    }
}
