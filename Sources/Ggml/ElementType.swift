internal import CLlama

/// The type of a tensor's elements: any type that ggml knows.
public struct ElementType: Sendable, Hashable, CustomStringConvertible {
    /// ggml's number of the type.
    public let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    init(_ type: ggml_type) { self.init(rawValue: UInt32(type.rawValue)) }
    var ggml: ggml_type { ggml_type(rawValue: .init(rawValue)) }

    /// 32-bit floating point.
    public static let f32 = ElementType(GGML_TYPE_F32)
    /// 16-bit IEEE floating point.
    public static let f16 = ElementType(GGML_TYPE_F16)
    /// 16-bit brain floating point.
    public static let bf16 = ElementType(GGML_TYPE_BF16)
    /// 8 bits, blocks of 32 with one scale.
    public static let q8_0 = ElementType(GGML_TYPE_Q8_0)
    /// 4 bits, blocks of 32 with one scale.
    public static let q4_0 = ElementType(GGML_TYPE_Q4_0)
    /// 4 bits, blocks of 32 with a scale and a lowest number.
    public static let q4_1 = ElementType(GGML_TYPE_Q4_1)
    /// 5 bits, blocks of 32 with one scale.
    public static let q5_0 = ElementType(GGML_TYPE_Q5_0)
    /// 5 bits, blocks of 32 with a scale and a lowest number.
    public static let q5_1 = ElementType(GGML_TYPE_Q5_1)
    /// 8-bit integers.
    public static let i8 = ElementType(GGML_TYPE_I8)
    /// 32-bit integers.
    public static let i32 = ElementType(GGML_TYPE_I32)

    /// Every type that the linked ggml defines.
    public static let all: [ElementType] = (0..<UInt32(GGML_TYPE_COUNT.rawValue))
        .map(ElementType.init(rawValue:))
        .filter { $0.blockLength > 0 && !$0.description.isEmpty }

    /// Finds a type by ggml's name for it ("f16", "q4_K"), in any case.
    public init?(named name: String) {
        guard let match = Self.all.first(where: { $0.description.lowercased() == name.lowercased() }) else {
            return nil
        }
        self = match
    }

    /// ggml's name of the type, such as "f16" or "q4_K".
    public var description: String { ggml_type_name(ggml).map { String(cString: $0) } ?? "" }

    /// How many elements share one block; 1 for plain types.
    public var blockLength: Int { Int(ggml_blck_size(ggml)) }

    /// The bytes of a row of `count` elements; `count` must be a multiple of ``blockLength``.
    public func bytes(_ count: Int) -> Int { ggml_row_size(ggml, Int64(count)) }

    /// Whether rows of this type can be turned into 32-bit floats.
    package var isDequantizable: Bool { self == .f32 || ggml_get_type_traits(ggml)?.pointee.to_float != nil }

    /// Whether 32-bit floats can be turned into this type without a separate importance matrix.
    package var isQuantizable: Bool {
        self == .f32
            || (ggml_get_type_traits(ggml)?.pointee.from_float_ref != nil && !ggml_quantize_requires_imatrix(ggml))
    }

    /// Converts one row of this type to 32-bit floats.
    ///
    /// - Parameter row: `bytes(output.count)` bytes.
    package func dequantize(_ row: UnsafeRawPointer, into output: UnsafeMutableBufferPointer<Float>) {
        if self == .f32 {
            output.baseAddress!.update(from: row.assumingMemoryBound(to: Float.self), count: output.count)
        } else {
            ggml_get_type_traits(ggml)!.pointee.to_float(row, output.baseAddress!, Int64(output.count))
        }
    }

    /// Converts rows of 32-bit floats to this type.
    ///
    /// - Parameters:
    ///   - values: whole rows of `rowLength` elements.
    ///   - output: room for `bytes(rowLength)` bytes a row.
    package func quantize(_ values: UnsafeBufferPointer<Float>, rowLength: Int, into output: UnsafeMutableRawPointer) {
        ggml_quantize_chunk(
            ggml, values.baseAddress!, output, 0, Int64(values.count / rowLength), Int64(rowLength), nil)
    }
}
