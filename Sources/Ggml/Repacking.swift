internal import CLlama

/// Layouts in which a device multiplies matrices faster than in the one that files have.
package struct Repacking {
    private let device: Device
    private let layouts: [ggml_backend_buffer_type_t]

    /// nil if the device has none.
    package init?(_ device: Device) {
        typealias Layouts = @convention(c) (ggml_backend_dev_t?) -> UnsafeMutablePointer<ggml_backend_buffer_type_t?>?
        let registry = ggml_backend_dev_backend_reg(device.pointer)
        guard let function = ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts"),
            var next = unsafeBitCast(function, to: Layouts.self)(device.pointer)
        else { return nil }
        var found: [ggml_backend_buffer_type_t] = []
        // The list ends with NULL.
        while let layout = next.pointee {
            found.append(layout)
            next += 1
        }
        guard !found.isEmpty else { return nil }
        self.device = device
        layouts = found
    }

    /// How many layouts there are.
    package var count: Int { layouts.count }

    /// The first layout in which a matrix of that type and shape, or several, can be multiplied with vectors; nil if there
    /// is none.
    package func layout(for type: ElementType, _ shape: [Int]) throws -> Int? {
        let arena = try Arena(tensors: 4)
        let matrix = arena.tensor(type, shape)
        let vector = arena.tensor(.f32, [shape[0], 1])
        let product =
            shape.count == 2
            ? arena.wrap(ggml_mul_mat(arena.context, matrix.pointer, vector.pointer))
            : arena.wrap(
                ggml_mul_mat_id(arena.context, matrix.pointer, vector.pointer, arena.tensor(.i32, [1, 1]).pointer))
        return layouts.indices.first { index in
            // Devices look at the buffer of the matrix; it needs no memory for that.
            guard let buffer = ggml_backend_buft_alloc_buffer(layouts[index], 0) else { return false }
            defer {
                matrix.pointer.pointee.buffer = nil
                ggml_backend_buffer_free(buffer)
            }
            matrix.pointer.pointee.buffer = buffer
            return ggml_backend_dev_supports_op(device.pointer, product.pointer)
        }
    }

    /// Gives the tensors of an arena memory in a layout; each is then written once, as a whole, and never read.
    ///
    /// - Throws: ``GgmlError`` of kind `memory` when the device has not enough.
    package func allocate(_ arena: Arena, layout: Int) throws {
        try arena.allocate(in: layouts[layout], of: device)
    }
}
