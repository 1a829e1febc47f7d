internal import CAttention
internal import CLlama

/// What the kernel's products are made of, and by which instructions.
struct ProductKind: Hashable {
    let type: ElementType
    let level: attention_level

    /// What an operation hands on is an address; this is a number.
    fileprivate var address: UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: UInt(16 * type.product!.rawValue + level.rawValue))
    }

    static func == (a: Self, b: Self) -> Bool { a.type == b.type && a.level == b.level }

    func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        hasher.combine(level.rawValue)
    }
}

extension ElementType {
    private static let q4_K = ElementType(GGML_TYPE_Q4_K)

    /// How the kernel's products name it; nil if they have no such matrices.
    var product: product_type? {
        switch self {
        case .q8_0: PRODUCT_Q8_0
        case .q4_K: PRODUCT_Q4_K
        default: nil
        }
    }
}

/// Vectors, rounded for matrices of one kind.
struct RoundedVectors: Hashable {
    let vectors: UnsafeMutablePointer<ggml_tensor>
    let kind: ProductKind
}

extension Graph {
    /// A product by the kernel: of a matrix in its layout, and vectors of 32-bit floats.
    func product(of matrix: Tensor, _ vectors: Tensor, level: attention_level) -> Tensor {
        let kind = ProductKind(type: matrix.type, level: level)
        let rounded = rounded(vectors, kind)
        let e = vectors.shape.map(Int64.init)
        let result = custom([rounded, matrix], GGML_TYPE_F32, [Int64(matrix[1]), e[1], e[2], e[3]], kind) {
            target, thread, threads, kind in
            // Sound: ggml calls this with the tensor made here, whose sources and memory it has allocated.
            let (target, matrix) = (target!.pointee, target!.pointee.src.1!.pointee)
            let (type, level) = parts(of: kind)
            var work = product_matrix(type: type, packed: matrix.data, width: matrix.ne.0, rows: matrix.ne.1)
            product_multiply(
                level, &work, target.src.0!.pointee.data, target.ne.1 * target.ne.2 * target.ne.3,
                target.data.assumingMemoryBound(to: Float.self), thread, threads)
        }
        return wrap(result, uses: rounded, matrix)
    }

    /// Vectors as products need them; the same for all of their products with matrices of a kind.
    private func rounded(_ vectors: Tensor, _ kind: ProductKind) -> Tensor {
        let key = RoundedVectors(vectors: vectors.pointer, kind: kind)
        if let known = roundedVectors[key] { return known }
        let source = vectors.isContiguous ? vectors : contiguous(vectors)
        let bytes = product_rounded_bytes(Int64(vectors[0]), Int64(vectors.count / vectors[0]))
        let result = custom([source], GGML_TYPE_I8, [Int64(bytes), 1, 1, 1], kind) { target, thread, threads, kind in
            // Sound: as above.
            let source = target!.pointee.src.0!
            let (type, level) = parts(of: kind)
            let width = source.pointee.ne.0
            var work = product_vectors(
                type: type, numbers: source.pointee.data.assumingMemoryBound(to: Float.self), width: width,
                count: ggml_nelements(source) / width)
            product_round(level, &work, target!.pointee.data, thread, threads)
        }
        let rounded = wrap(result, uses: source)
        roundedVectors[key] = rounded
        return rounded
    }

    private func custom(
        _ sources: [Tensor], _ type: ggml_type, _ extents: [Int64], _ kind: ProductKind,
        _ body: @convention(c) (UnsafeMutablePointer<ggml_tensor>?, Int32, Int32, UnsafeMutableRawPointer?) -> Void
    ) -> UnsafeMutablePointer<ggml_tensor>? {
        var arguments: [UnsafeMutablePointer<ggml_tensor>?] = sources.map(\.pointer)
        return ggml_custom_4d(
            arena.context, type, extents[0], extents[1], extents[2], extents[3], &arguments, Int32(arguments.count),
            body, -1, kind.address)
    }
}

/// What ``ProductKind/address`` says.
private func parts(of address: UnsafeMutableRawPointer?) -> (product_type, attention_level) {
    let number = UInt32(UInt(bitPattern: address))
    return (product_type(rawValue: number / 16), attention_level(rawValue: number % 16))
}
