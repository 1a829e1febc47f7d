internal import Ggml

/// How a tensor of a layer becomes what files have, which is what the fused kernel has: so that what one device saved another
/// goes on from.
enum SavedLayout {
    /// It is the same.
    case same
    /// `[slots, headDim, kvHeads]`, which files have as rows.
    case transposed
    /// f16 `[ages, slots, kvHeads]`, which files have as bytes `[slots, kvHeads, ages]`.
    case codes

    /// Type and shape in a file.
    func saved(_ tensor: Tensor) -> (type: ElementType, shape: [Int]) {
        switch self {
        case .same: (tensor.type, tensor.shape)
        case .transposed: (tensor.type, [tensor[1], tensor[0], tensor[2]])
        case .codes: (.i8, [tensor[1], tensor[2], tensor[0]])
        }
    }

    /// What the file gets of a tensor.
    func encode(_ tensor: Tensor) -> [UInt8] {
        switch self {
        case .same: tensor.values()
        case .transposed: Self.transpose(tensor.values(), tensor.shape, size: tensor.type.bytes(1))
        case .codes:
            Self.moved(tensor.floats(), rows: tensor[1] * tensor[2], columns: tensor[0])
                .map { UInt8(bitPattern: Int8($0)) }
        }
    }

    /// What the tensor holds, of what a file has.
    func decode(_ bytes: UnsafeRawBufferPointer, for tensor: Tensor) -> [UInt8] {
        switch self {
        case .same: return Array(bytes)
        case .transposed:
            return Self.transpose(Array(bytes), [tensor[1], tensor[0], tensor[2]], size: tensor.type.bytes(1))
        case .codes:
            let codes = bytes.map { Float(Int8(bitPattern: $0)) }
            return tensor.type.encoded(Self.moved(codes, rows: tensor[0], columns: tensor[1] * tensor[2]))
        }
    }

    /// Elements of `size` bytes: the first two dimensions change places.
    static func transpose(_ bytes: [UInt8], _ shape: [Int], size: Int) -> [UInt8] {
        let (width, height) = (shape[0], shape[1])
        var result = [UInt8](repeating: 0, count: bytes.count)
        for matrix in 0..<bytes.count / (width * height * size) {
            let first = matrix * width * height
            for row in 0..<height {
                for column in 0..<width {
                    let (from, to) = ((first + row * width + column) * size, (first + column * height + row) * size)
                    for byte in 0..<size { result[to + byte] = bytes[from + byte] }
                }
            }
        }
        return result
    }

    private static func moved(_ values: [Float], rows: Int, columns: Int) -> [Float] {
        (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } }
    }
}
