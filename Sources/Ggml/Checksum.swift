/// A 64-bit checksum of bytes, against files that were damaged; it does not protect from forgery.
///
/// Four running products of 64-bit words, so that it keeps up with memory; the pieces in which bytes come do not matter.
package struct Checksum {
    private static let prime: UInt64 = 0x9E37_79B1_85EB_CA87
    private var lanes = SIMD4<UInt64>(1, 2, 3, 4)
    private var pending: [UInt8] = []
    private var count: UInt64 = 0

    package init() { pending.reserveCapacity(32) }

    /// Adds bytes.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        count &+= UInt64(bytes.count)
        var rest = bytes[...]
        if !pending.isEmpty {
            let missing = rest.prefix(32 - pending.count)
            pending += missing
            rest = rest.dropFirst(missing.count)
            guard pending.count == 32 else { return }
            pending.withUnsafeBytes { addBlocks($0) }
            pending.removeAll(keepingCapacity: true)
        }
        let whole = rest.count / 32 * 32
        addBlocks(UnsafeRawBufferPointer(rebasing: rest.prefix(whole)))
        pending += rest.dropFirst(whole)
    }

    /// Adds a text.
    package mutating func add(_ text: String) {
        let bytes = Array(text.utf8)
        bytes.withUnsafeBytes { add($0) }
    }

    private mutating func addBlocks(_ bytes: UnsafeRawBufferPointer) {
        var lanes = lanes
        for offset in stride(from: 0, to: bytes.count, by: 32) {
            let words = bytes.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
            lanes = (lanes ^ words) &* SIMD4(repeating: Self.prime)
            lanes = (lanes &<< 29) | (lanes &>> 35)
        }
        self.lanes = lanes
    }

    /// The checksum of all bytes so far.
    package var value: UInt64 {
        var copy = self
        copy.pending += [UInt8](repeating: 0, count: 32 - pending.count)
        copy.pending.withUnsafeBytes { copy.addBlocks($0) }
        var result = count
        for lane in 0..<4 {
            result = (result ^ copy.lanes[lane]) &* Self.prime
            result ^= result >> 31
        }
        return result
    }

    /// ``value`` as 16 hexadecimal digits.
    package var digits: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
