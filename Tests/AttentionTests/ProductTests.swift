import CAttention
import TestSupport
import Testing

/// Products of rounded vectors with quantised matrices against double precision, for every instruction set that has them.
@Suite struct ProductTests {
    /// Width and rows.
    static let sizes = [(256, 16), (512, 48), (1024, 80)]

    @Test(
        "multiplies the rounded vectors, whatever the instructions, threads and number of vectors",
        arguments: [PRODUCT_Q8_0, PRODUCT_Q4_K], sizes)
    func multiplies(_ type: product_type, _ size: (width: Int, rows: Int)) {
        let matrix = StoredMatrix(type, width: size.width, rows: size.rows)
        for count in [1, 2, 7, 8, 9, 70] {
            var random = SeededNumbers(UInt64(count))
            let vectors = random.floats(count * size.width)
            let expected = matrix.products(vectors.map(Double.init))
            // A number is off by half a step of the largest of its 32 or 256, which is below 1/127.
            let magnitudes = matrix.magnitudes()
            for level in levels.filter(product_can_run) {
                for threads in [1, 3] {
                    let found = matrix.multiply(vectors, level: level, threads: threads)
                    for (index, number) in found.enumerated() {
                        let bound = magnitudes[index % size.rows] * 0.5 / 127 * 1.01
                        #expect(abs(Double(number) - expected[index]) <= bound)
                    }
                }
            }
        }
    }

    @Test(
        "a vector's products do not depend, bit for bit, on the others and the threads",
        arguments: [PRODUCT_Q8_0, PRODUCT_Q4_K])
    func isIndependent(_ type: product_type) {
        let (width, rows) = (512, 48)
        let matrix = StoredMatrix(type, width: width, rows: rows)
        var random = SeededNumbers(3)
        let vectors = random.floats(19 * width)
        for level in levels.filter(product_can_run) {
            let all = matrix.multiply(vectors, level: level, threads: 2)
            for index in [0, 7, 8, 18] {
                let one = matrix.multiply(
                    Array(vectors[index * width..<(index + 1) * width]), level: level, threads: 1)
                #expect(one == Array(all[index * rows..<(index + 1) * rows]))
            }
        }
    }

    @Test(
        "numbers that are none stay none, zeros and the smallest numbers give nearly nothing",
        arguments: [PRODUCT_Q8_0, PRODUCT_Q4_K])
    func unusualNumbers(_ type: product_type) {
        let matrix = StoredMatrix(type, width: 256, rows: 16)
        for level in levels.filter(product_can_run) {
            for bad in [Float.nan, .infinity, -.infinity] {
                var vector = [Float](repeating: 1, count: 256)
                vector[77] = bad
                #expect(matrix.multiply(vector, level: level, threads: 1).allSatisfy { $0.isNaN })
            }
            for small in [Float(0), .leastNonzeroMagnitude] {
                let found = matrix.multiply(Array(repeating: small, count: 256), level: level, threads: 1)
                #expect(found.allSatisfy { abs($0) < 1e-30 })
            }
        }
    }

    @Test func onlyWholeBlocksAndGroupsOfRowsFit() {
        #expect(product_fits(PRODUCT_Q8_0, 96, 32) && product_fits(PRODUCT_Q4_K, 512, 16))
        #expect(!product_fits(PRODUCT_Q8_0, 80, 32) && !product_fits(PRODUCT_Q4_K, 128, 16))
        #expect(!product_fits(PRODUCT_Q8_0, 96, 24) && !product_fits(PRODUCT_Q8_0, 0, 16))
    }
}

/// A matrix of random bytes, as it is stored.
private struct StoredMatrix {
    let type: product_type
    let width: Int
    let rows: Int
    let bytes: [UInt8]
    /// What they mean, read byte by byte.
    let numbers: [Double]

    init(_ type: product_type, width: Int, rows: Int) {
        (self.type, self.width, self.rows) = (type, width, rows)
        var random = SeededNumbers(UInt64(width + rows))
        let (block, size) = type == PRODUCT_Q4_K ? (144, 256) : (34, 32)
        var bytes: [UInt8] = []
        var numbers: [Double] = []
        for _ in 0..<rows * width / size {
            var own = (0..<block).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            // The scales: 2^-7 times 1 to 2.
            own[1] = 0x20 | own[1] & 3
            if type == PRODUCT_Q4_K { own[3] = 0x20 | own[3] & 3 }
            bytes += own
            numbers += type == PRODUCT_Q4_K ? Self.fourBits(own) : Self.eightBits(own)
        }
        (self.bytes, self.numbers) = (bytes, numbers)
    }

    private static func half(_ low: UInt8, _ high: UInt8) -> Double {
        let bits = Int(high) << 8 | Int(low)
        return Double(1024 + bits & 1023) / 1024 / Double(1 << (15 - bits >> 10))
    }

    private static func eightBits(_ block: [UInt8]) -> [Double] {
        block[2...].map { Double(Int8(bitPattern: $0)) * half(block[0], block[1]) }
    }

    /// ggml's q4_K: 8 times 32 numbers with a scale and an offset of six bits each.
    private static func fourBits(_ block: [UInt8]) -> [Double] {
        let (scale, lowest) = (half(block[0], block[1]), half(block[2], block[3]))
        let (parts, numbers) = (Array(block[4..<16]), Array(block[16...]))
        return (0..<256).map { index in
            let part = index / 32
            let byte = numbers[index / 64 * 32 + index % 32]
            let own: (UInt8, UInt8) =
                part < 4
                ? (parts[part] & 63, parts[part + 4] & 63)
                : (
                    parts[part + 4] & 15 | (parts[part - 4] >> 6) << 4,
                    parts[part + 4] >> 4 | (parts[part] >> 6) << 4
                )
            return scale * Double(own.0) * Double(part % 2 == 0 ? byte & 15 : byte >> 4) - lowest * Double(own.1)
        }
    }

    func products(_ vectors: [Double]) -> [Double] {
        (0..<vectors.count / width).flatMap { vector in
            (0..<rows).map { row in
                (0..<width).reduce(0.0) { $0 + vectors[vector * width + $1] * numbers[row * width + $1] }
            }
        }
    }

    /// The sum of each row's magnitudes.
    func magnitudes() -> [Double] {
        (0..<rows).map { row in numbers[row * width..<(row + 1) * width].reduce(0) { $0 + abs($1) } }
    }

    func multiply(_ vectors: [Float], level: attention_level, threads: Int) -> [Float] {
        let count = vectors.count / width
        func memory(_ bytes: Int) -> UnsafeMutableRawPointer {
            .allocate(byteCount: bytes, alignment: 64)
        }
        let (packed, rounded) = (memory(bytes.count), memory(product_rounded_bytes(Int64(width), Int64(count))))
        defer {
            packed.deallocate()
            rounded.deallocate()
        }
        var matrix = product_matrix(type: type, packed: packed, width: Int64(width), rows: Int64(rows))
        bytes.withUnsafeBytes { product_pack(&matrix, $0.baseAddress, packed) }
        var output = [Float](repeating: .nan, count: count * rows)
        vectors.withUnsafeBufferPointer { vectors in
            var work = product_vectors(
                type: type, numbers: vectors.baseAddress, width: Int64(width), count: Int64(count))
            for thread in 0..<threads { product_round(level, &work, rounded, Int32(thread), Int32(threads)) }
            for thread in 0..<threads {
                product_multiply(level, &matrix, rounded, Int64(count), &output, Int32(thread), Int32(threads))
            }
        }
        return output
    }
}
