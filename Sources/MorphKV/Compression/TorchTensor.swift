internal import Foundation

/// A tensor of numbers in a file of PyTorch: a ZIP archive with a pickle that describes the tensor, and its bytes.
///
/// A pickle is a program, which this does not run: it knows the few instructions that such a description is made of,
/// and refuses every other.
struct TorchTensor {
    let shape: [Int]
    /// In the order of the shape, the last dimension first.
    let values: [Float]

    init(rows: [[Float]]) {
        shape = [rows.count, rows.first?.count ?? 0]
        values = rows.flatMap { $0 }
    }

    // MARK: Reading

    /// - Throws: ``HeadScoreProblem`` if the file is damaged or holds anything else than one tensor.
    init(file: Data) throws {
        let archive = try StoredZip(file)
        func content(_ ending: String) -> [UInt8]? { archive.files.first { $0.name.hasSuffix("/" + ending) }?.content }
        if let order = content("byteorder"), String(decoding: order, as: UTF8.self) != "little" {
            throw HeadScoreProblem("its numbers have their highest byte first")
        }
        guard let pickle = content("data.pkl") else { throw HeadScoreProblem("it is no file of PyTorch") }
        let description = try TensorPickle.read(pickle)
        guard let bytes = content("data/\(description.key)") else { throw HeadScoreProblem("its numbers are missing") }
        let stored = try Self.numbers(bytes, description.element)
        shape = description.shape
        values = try Self.arranged(stored, description)
    }

    private static func numbers(_ bytes: [UInt8], _ element: TensorPickle.Element) throws -> [Float] {
        func each<Bits: FixedWidthInteger & UnsignedInteger>(_: Bits.Type, _ value: (Bits) -> Float) -> [Float] {
            let size = MemoryLayout<Bits>.size
            return stride(from: 0, to: bytes.count / size * size, by: size).map { start in
                var bits: Bits = 0
                for byte in bytes[start..<start + size].reversed() { bits = bits << 8 | Bits(byte) }
                return value(bits)
            }
        }
        return switch element {
        case .half: each(UInt16.self, Self.half)
        case .brain: each(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .float: each(UInt32.self) { Float(bitPattern: $0) }
        case .double: each(UInt64.self) { Float(Double(bitPattern: $0)) }
        }
    }

    /// The value of a number of 16 bits, of which five are the exponent.
    private static func half(_ bits: UInt16) -> Float {
        let (exponent, fraction) = (Int(bits >> 10 & 31), Float(bits & 1023) / 1024)
        let size: Float =
            switch exponent {
            case 0: Float(sign: .plus, exponent: -14, significand: 1) * fraction
            case 31: fraction == 0 ? .infinity : .nan
            default: Float(sign: .plus, exponent: exponent - 15, significand: 1) * (1 + fraction)
            }
        return bits >> 15 == 1 ? -size : size
    }

    /// The numbers in the order of the shape, wherever they stand.
    private static func arranged(_ stored: [Float], _ description: TensorPickle.Description) throws -> [Float] {
        let (shape, strides) = (description.shape, description.strides)
        // Files of scores have some thousand numbers; a shape that repeats few of them for ever is none.
        let limit = 1 << 20
        var (count, last) = (1, description.offset)
        for (size, stride) in zip(shape, strides) {
            guard (1...limit).contains(size), (0...limit).contains(stride), count <= limit / size else {
                throw HeadScoreProblem("its tensor has the shape \(shape)")
            }
            count *= size
            last += (size - 1) * stride
        }
        guard shape.count == strides.count, (0...limit).contains(description.offset), last < stored.count else {
            throw HeadScoreProblem("its numbers are missing")
        }
        var places = [description.offset]
        for (size, stride) in zip(shape, strides) {
            places = places.flatMap { place in (0..<size).map { place + $0 * stride } }
        }
        return places.map { stored[$0] }
    }

    // MARK: Writing

    /// The file, as `torch.save` writes a tensor of 32-bit floats on the CPU.
    ///
    /// - Parameter name: the folder in the archive.
    func file(named name: String) -> Data {
        let bytes = StoredZip.bytes(values.map(\.bitPattern))
        return StoredZip([
            ("\(name)/data.pkl", TensorPickle.written(shape)), ("\(name)/byteorder", Array("little".utf8)),
            ("\(name)/data/0", bytes), ("\(name)/version", Array("3\n".utf8)),
        ]).data
    }
}
