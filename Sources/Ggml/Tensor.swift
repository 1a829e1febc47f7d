internal import CLlama

/// A tensor of up to four dimensions, the fastest first, and the arena that owns it.
package struct Tensor {
    // Sound: `arena` keeps the description and the memory behind it alive.
    let pointer: UnsafeMutablePointer<ggml_tensor>
    package let arena: Arena

    package var name: String { String(cString: ggml_get_name(pointer)) }
    package var type: ElementType { ElementType(pointer.pointee.type) }

    /// All four extents; unused ones are 1.
    package var shape: [Int] {
        let e = pointer.pointee.ne
        return [Int(e.0), Int(e.1), Int(e.2), Int(e.3)]
    }

    /// The distance in bytes between neighbours in each dimension.
    package var strides: [Int] {
        let s = pointer.pointee.nb
        return [s.0, s.1, s.2, s.3]
    }

    package var count: Int { Int(ggml_nelements(pointer)) }
    package var bytes: Int { ggml_nbytes(pointer) }
    package var isContiguous: Bool { ggml_is_contiguous(pointer) }

    /// Whether both are the very same tensor.
    package func isSame(as other: Tensor) -> Bool { pointer == other.pointer }

    package subscript(dimension: Int) -> Int { shape[dimension] }
}

// MARK: - Moving values

extension Tensor {
    /// Copies bytes from the host; the range must lie inside the tensor.
    package func write(_ source: UnsafeRawBufferPointer, at offset: Int = 0) {
        precondition(offset >= 0 && offset + source.count <= bytes, "a write stays inside \(name)")
        guard source.count > 0 else { return }
        ggml_backend_tensor_set(pointer, source.baseAddress!, offset, source.count)
    }

    /// Copies bytes to the host; the range must lie inside the tensor.
    package func read(into target: UnsafeMutableRawBufferPointer, at offset: Int = 0) {
        precondition(offset >= 0 && offset + target.count <= bytes, "a read stays inside \(name)")
        guard target.count > 0 else { return }
        ggml_backend_tensor_get(pointer, target.baseAddress!, offset, target.count)
    }

    /// Copies values from the host into a contiguous tensor, from element `index` on.
    package func write<Value: BitwiseCopyable>(_ values: [Value], at index: Int = 0) {
        values.withUnsafeBytes { write($0, at: index * MemoryLayout<Value>.stride) }
    }

    /// Copies one value from the host, without allocating.
    package func write<Value: BitwiseCopyable>(_ value: Value, at index: Int = 0) {
        withUnsafeBytes(of: value) { write($0, at: index * MemoryLayout<Value>.stride) }
    }

    /// Reads a byte of every page, so that what is mapped from a file comes into memory.
    package func touch() {
        var byte: UInt8 = 0
        withUnsafeMutableBytes(of: &byte) { target in
            // No page is smaller.
            for offset in stride(from: 0, to: bytes, by: 4096) { read(into: target, at: offset) }
        }
    }

    /// Copies a tensor of the same type and shape, from wherever it lies.
    package func write(_ source: Tensor) { ggml_backend_tensor_copy(source.pointer, pointer) }

    /// Sets every byte.
    package func fill(byte: UInt8) { ggml_backend_tensor_memset(pointer, byte, 0, bytes) }

    /// All values of a contiguous tensor of that type.
    package func values<Value: BitwiseCopyable>(as: Value.Type = Value.self) -> [Value] {
        [Value](unsafeUninitializedCapacity: bytes / MemoryLayout<Value>.stride) { memory, count in
            read(into: UnsafeMutableRawBufferPointer(memory))
            count = memory.count
        }
    }

    /// All values of a contiguous tensor, converted to 32-bit floats.
    package func floats() -> [Float] {
        if type == .f32 { return values() }
        let raw: [UInt8] = values()
        return [Float](unsafeUninitializedCapacity: count) { memory, filled in
            raw.withUnsafeBytes { type.dequantize($0.baseAddress!, into: memory) }
            filled = memory.count
        }
    }
}

/// Tensors that nobody writes to any more, so that every thread may read them.
///
/// The invariant is the creator's to keep: whoever wraps a value promises that its tensors are never written again.
package struct ReadOnly<Value>: @unchecked Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}
