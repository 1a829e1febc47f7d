internal import CAttention
package import Ggml

/// How the numbers of stored keys and values are kept.
///
/// Every type is one that the fused kernel reads and writes: a further one is a case here, a loader in the kernel's
/// `storage.h` and a row of the kernel's tests; the compiler names the other switches (`format.h`, `rows.h`, `store.c`).
public enum CacheType: String, Sendable, Hashable, CaseIterable {
    /// 32-bit floating point.
    case f32
    /// 16-bit IEEE floating point.
    case f16
    /// 16-bit brain floating point.
    case bf16
    /// 8 bits, blocks of 32 with one scale.
    case q8_0
    /// 4 bits, blocks of 32 with one scale.
    case q4_0
    /// 4 bits, blocks of 32 with a scale and a lowest number.
    case q4_1
    /// 5 bits, blocks of 32 with one scale.
    case q5_0
    /// 5 bits, blocks of 32 with a scale and a lowest number.
    case q5_1

    /// Finds a type by its name, in any case.
    public init?(named name: String) { self.init(rawValue: name.lowercased()) }

    /// The types that ggml's own operations can attend to on any device.
    static let ofGraphs: [CacheType] = [.f32, .f16]

    /// ggml's name of the type.
    package var elementType: ElementType {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        case .q8_0: .q8_0
        case .q4_0: .q4_0
        case .q4_1: .q4_1
        case .q5_0: .q5_0
        case .q5_1: .q5_1
        }
    }

    /// The kernel's name of the type.
    var kernelType: attention_type {
        switch self {
        case .f32: ATTENTION_F32
        case .f16: ATTENTION_F16
        case .bf16: ATTENTION_BF16
        case .q8_0: ATTENTION_Q8_0
        case .q4_0: ATTENTION_Q4_0
        case .q4_1: ATTENTION_Q4_1
        case .q5_0: ATTENTION_Q5_0
        case .q5_1: ATTENTION_Q5_1
        }
    }

    /// Whether rotating a key now and then leaves it what it was; not with so few bits that each time rounds too much away.
    var canRotate: Bool { ![.q4_0, .q4_1, .q5_0, .q5_1].contains(self) }

    /// How many numbers share one block, of which a key or value must be a multiple; 1 for plain types.
    public var blockLength: Int { elementType.blockLength }

    /// The bytes of a row of `count` numbers; `count` must be a multiple of ``blockLength``.
    public func bytes(_ count: Int) -> Int { elementType.bytes(count) }
}
