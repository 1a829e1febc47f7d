/// SHA-256 (FIPS 180-4): names samples, models and questions by their content.
package enum SHA256 {
    /// The digest of a text's UTF-8 in hexadecimal digits.
    package static func hexadecimal(of text: String) -> String { hexadecimal(of: Array(text.utf8)) }

    /// The digest of a message in hexadecimal digits.
    package static func hexadecimal(of message: [UInt8]) -> String {
        var state = initialState
        var words = [UInt32](repeating: 0, count: 64)
        var padded = message + [0x80]
        padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
        padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
        padded.withUnsafeBufferPointer { bytes in
            for start in stride(from: 0, to: bytes.count, by: 64) {
                compress(UnsafeBufferPointer(rebasing: bytes[start..<start + 64]), &words, &state)
            }
        }
        return state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    private static func compress(_ block: UnsafeBufferPointer<UInt8>, _ words: inout [UInt32], _ state: inout [UInt32])
    {
        for i in 0..<16 {
            words[i] =
                UInt32(block[4 * i]) << 24 | UInt32(block[4 * i + 1]) << 16 | UInt32(block[4 * i + 2]) << 8
                | UInt32(block[4 * i + 3])
        }
        for i in 16..<64 {
            let s0 = rotate(words[i - 15], 7) ^ rotate(words[i - 15], 18) ^ words[i - 15] >> 3
            let s1 = rotate(words[i - 2], 17) ^ rotate(words[i - 2], 19) ^ words[i - 2] >> 10
            words[i] = words[i - 16] &+ s0 &+ words[i - 7] &+ s1
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for i in 0..<64 {
            let choice = (e & f) ^ (~e & g)
            let first = h &+ (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) &+ choice &+ constants[i] &+ words[i]
            let majority = (a & b) ^ (a & c) ^ (b & c)
            let second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) &+ majority
            (h, g, f, e) = (g, f, e, d &+ first)
            (d, c, b, a) = (c, b, a, first &+ second)
        }
        for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= value }
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }

    private static let initialState: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]

    /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = {
        let primes = (2...311).filter { candidate in (2..<candidate).allSatisfy { candidate % $0 != 0 } }
        return primes.map { cubeRootFraction(UInt64($0)) }
    }()

    /// By bisection in whole numbers: the root of `prime` times 2^96, whose low 32 bits are the fraction.
    private static func cubeRootFraction(_ prime: UInt64) -> UInt32 {
        var low: UInt64 = 0
        var high: UInt64 = 8 << 32
        while high - low > 1 {
            let middle = (low + high) / 2
            let square = middle.multipliedFullWidth(by: middle)
            // middle^3 <= prime * 2^96 exactly when the part of the cube above 96 bits is below the prime.
            let squareValue = UInt128(square.high) << 64 | UInt128(square.low)
            let (cube, overflow) = squareValue.multipliedReportingOverflow(by: UInt128(middle))
            if !overflow, cube < UInt128(prime) << 96 { low = middle } else { high = middle }
        }
        return UInt32(truncatingIfNeeded: low)
    }
}
