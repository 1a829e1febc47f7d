import CAttention
import Foundation
import Testing

/// The fused kernel against double precision, for every instruction set and number of threads.
@Suite struct KernelTests {
    static let types = [
        ATTENTION_F32, ATTENTION_F16, ATTENTION_BF16, ATTENTION_Q8_0, ATTENTION_Q4_0, ATTENTION_Q4_1, ATTENTION_Q5_0,
        ATTENTION_Q5_1,
    ]

    static let shapes: [KernelCase.Shape] = {
        var shapes: [KernelCase.Shape] = []
        for keyType in types {
            let others = keyType.rawValue > ATTENTION_Q8_0.rawValue ? [keyType, ATTENTION_F16] : types
            for valueType in others { shapes.append(.init(keyType: keyType, valueType: valueType)) }
        }
        for dimension in [32, 40, 72, 80, 100, 128, 256] {
            shapes.append(.init(dimension: dimension, heads: 1))
        }
        for group in [1, 3, 4, 5, 7, 8, 11, 16] { shapes.append(.init(group: group, heads: 3)) }
        for (slots, used) in [(1, 0), (2, 1), (15, 14), (16, 15), (17, 16), (64, 3), (4096, 4095)] {
            shapes.append(.init(dimension: 32, slots: slots, used: used))
        }
        for frozen in [[0, 0], [1, 0], [0, 37], [100, 16], [1000, 3]] {
            shapes.append(.init(dimension: 32, frozen: frozen))
            shapes.append(
                .init(keyType: ATTENTION_Q8_0, valueType: ATTENTION_Q8_0, slots: 1, used: 0, frozen: frozen)
            )
        }
        return shapes
    }()

    @Test("attends like double precision, whatever the instructions and threads", arguments: shapes)
    func attends(_ shape: KernelCase.Shape) {
        for level in levels {
            for threads in [1, 2, 3] {
                let test = KernelCase(shape, seed: UInt64(threads))
                let queries = test.floats(shape.heads * shape.group * shape.dimension).map { $0 * 8 }
                let output = test.run(
                    queries: queries, newKeys: test.floats(shape.heads * shape.dimension),
                    newValues: test.floats(shape.heads * shape.dimension), level: level, threads: threads)
                let expected = referenceAttention(test, queries: queries, used: shape.used + 1)
                let worst = zip(output, expected).map { abs(Double($0) - $1) }.max()!
                #expect(worst < shape.tolerance(level), "level \(level.rawValue), \(threads) threads")
            }
        }
    }

    @Test(
        "rounding the queries moves products, and so weights, by no more than is stated",
        arguments: types.filter(\.isInBlocks))
    func roundedQueries(_ type: attention_type) {
        let shape = KernelCase.Shape(keyType: type, valueType: ATTENTION_F32, dimension: 128, slots: 200, used: 199)
        for level in levels {
            let test = KernelCase(shape, seed: 4)
            let queries = test.floats(shape.heads * shape.group * shape.dimension).map { $0 * 8 }
            let output = test.run(
                queries: queries, newKeys: test.floats(shape.heads * shape.dimension),
                newValues: test.floats(shape.heads * shape.dimension), level: level, threads: 1)
            let exact = referenceAttention(test, queries: queries, used: 200, rounds: false)
            // Each of 128 numbers, at most 8 times the scale, is wrong by 1/254 of that, and meets one that is at most 1.
            let product = Double(8 * test.cache.scale) * 128 / 254
            let worst = zip(output, exact).map { abs(Double($0) - $1) }.max()!
            #expect(worst < exp(2 * product) - 1, "level \(level.rawValue)")
            // Roundings point in all directions: a hundredth of what all together could do.
            #expect(worst < 0.02 && worst > 1e-5, "level \(level.rawValue): \(worst)")
        }
    }

    @Test("frozen entries may see other queries than the slots", arguments: shapes.filter { !$0.frozen.isEmpty })
    func frozenQueries(_ shape: KernelCase.Shape) {
        for level in levels {
            for threads in [1, 3] {
                let test = KernelCase(shape, seed: UInt64(threads))
                let count = shape.heads * shape.group * shape.dimension
                let (queries, frozen) = (test.floats(count).map { $0 * 8 }, test.floats(count).map { $0 * 8 })
                let output = test.run(
                    queries: queries, frozenQueries: frozen, newKeys: test.floats(shape.heads * shape.dimension),
                    newValues: test.floats(shape.heads * shape.dimension), level: level, threads: threads)
                let expected = referenceAttention(
                    test, queries: queries, frozenQueries: frozen, used: shape.used + 1)
                let tolerance = shape.tolerance(level)
                #expect(
                    zip(output, expected).allSatisfy { abs(Double($0) - $1) < tolerance }, "level \(level.rawValue)")
            }
        }
    }

    @Test(
        "a sink takes its part of the softmax",
        arguments: shapes.enumerated().filter { $0.offset % 4 == 0 || !$0.element.frozen.isEmpty }.map(\.element))
    func sinks(_ shape: KernelCase.Shape) {
        for level in levels {
            for threads in [1, 3] {
                let test = KernelCase(shape, seed: UInt64(threads))
                test.sinks = KernelCase.sinks(shape)
                let queries = test.floats(shape.heads * shape.group * shape.dimension).map { $0 * 8 }
                let output = test.run(
                    queries: queries, newKeys: test.floats(shape.heads * shape.dimension),
                    newValues: test.floats(shape.heads * shape.dimension), level: level, threads: threads)
                let expected = referenceAttention(test, queries: queries, used: shape.used + 1)
                let tolerance = shape.tolerance(level)
                #expect(
                    zip(output, expected).allSatisfy { abs(Double($0) - $1) < tolerance }, "level \(level.rawValue)")
            }
        }
    }

    @Test("several tokens at a time give what they give one after the other")
    func columns() {
        let shape = KernelCase.Shape(group: 3, slots: 40, used: 5, frozen: [7, 0])
        for level in levels {
            for threads in [1, 2, 3] {
                let (together, apart) = (KernelCase(shape), KernelCase(shape))
                let columns = 9
                let wide = shape.heads * shape.group * shape.dimension
                let narrow = shape.heads * shape.dimension
                let (q, k, v) = (
                    together.floats(columns * wide), together.floats(columns * narrow),
                    together.floats(columns * narrow)
                )
                let all = together.run(
                    queries: q, newKeys: k, newValues: v, columns: columns, level: level, threads: threads)
                var single: [Float] = []
                for i in 0..<columns {
                    single += apart.run(
                        queries: Array(q[i * wide..<(i + 1) * wide]),
                        newKeys: Array(k[i * narrow..<(i + 1) * narrow]),
                        newValues: Array(v[i * narrow..<(i + 1) * narrow]), position: shape.used + i,
                        used: shape.used + i, level: level, threads: threads)
                }
                #expect(all == single)
            }
        }
    }

    @Test(
        "stores 16-bit numbers rounded to the nearest, ties to even, with infinities and subnormals")
    func storesHalves() {
        for bits in stride(from: UInt32(0), to: UInt32.max - 65_537, by: 65_537) {
            let value = Float(bitPattern: bits)
            var stored: UInt16 = 0
            attention_store_row(ATTENTION_F16, [value], &stored, 1)
            if value.isNaN {
                #expect(stored & 0x7c00 == 0x7c00 && stored & 0x3ff != 0)
            } else {
                #expect(stored == nearestHalf(to: value), "\(value)")
            }
        }
    }

    /// The nearest 16-bit number by looking at both neighbours.
    private func nearestHalf(to value: Float) -> UInt16 {
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        let magnitude = Double(value.magnitude)
        if magnitude >= 65_520 { return sign | 0x7c00 }
        var (low, high): (UInt16, UInt16) = (0, 0x7c00)
        while high - low > 1 {
            let middle = (low + high) / 2
            if number(middle) <= magnitude { low = middle } else { high = middle }
        }
        let (below, above) = (magnitude - number(low), number(high) - magnitude)
        return sign | (below < above || (below == above && low % 2 == 0) ? low : high)
    }

    private func number(_ half: UInt16) -> Double {
        // The next number after the largest, so that rounding up to infinity has a distance.
        if half == 0x7c00 { return 65_536 }
        var bits = half
        return withUnsafeMutableBytes(of: &bits) {
            row(ATTENTION_F16, $0.baseAddress!, 0, dimension: 1)[0]
        }
    }
}
