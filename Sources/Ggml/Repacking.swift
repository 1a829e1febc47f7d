package import CAttention
internal import CLlama

/// Layouts in which a device multiplies matrices faster than in the one that files have: the device's own, and behind them that
/// of the kernel's products.
package struct Repacking {
    private let device: Device
    private let layouts: [ggml_backend_buffer_type_t]
    /// The instructions of the kernel's products; nil if there are none.
    private let products: attention_level?

    /// nil if the device has none.
    ///
    /// - Parameter level: the instructions that the kernel uses.
    package init?(_ device: Device, level: attention_level) {
        products = device.usesHostMemory && product_can_run(level) ? level : nil
        layouts = Self.layouts(of: device)
        self.device = device
        guard count > 0 else { return nil }
    }

    private static func layouts(of device: Device) -> [ggml_backend_buffer_type_t] {
        typealias Layouts = @convention(c) (ggml_backend_dev_t?) -> UnsafeMutablePointer<ggml_backend_buffer_type_t?>?
        let registry = ggml_backend_dev_backend_reg(device.pointer)
        guard let function = ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts"),
            var next = unsafeBitCast(function, to: Layouts.self)(device.pointer)
        else { return [] }
        var found: [ggml_backend_buffer_type_t] = []
        // The list ends with NULL.
        while let layout = next.pointee {
            found.append(layout)
            next += 1
        }
        return found
    }

    /// How many layouts there are.
    package var count: Int { layouts.count + (products == nil ? 0 : 1) }

    /// Whether a layout is the device's own.
    package func isOfDevice(_ layout: Int) -> Bool { layout < layouts.count }

    /// The layout in which a matrix of that type and shape, or several, is multiplied with vectors; nil if there is none.
    package func layout(for type: ElementType, _ shape: [Int]) throws -> Int? {
        if products != nil, shape.count == 2, let product = type.product,
            product_fits(product, Int64(shape[0]), Int64(shape[1]))
        {
            return layouts.count
        }
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

    /// Gives the tensors of an arena memory in a layout; each is then written once, and never read.
    ///
    /// - Throws: ``GgmlError`` of kind `memory` when the device has not enough.
    package func allocate(_ arena: Arena, layout: Int) throws {
        if isOfDevice(layout) { return try arena.allocate(in: layouts[layout], of: device) }
        try arena.allocate(in: ggml_backend_dev_buffer_type(device.pointer), of: device)
        arena.products = products
    }

    /// Writes a matrix as it lies in a file to a tensor that has memory in some layout.
    package func write(_ matrix: UnsafeRawBufferPointer, to tensor: Tensor) {
        guard tensor.arena.products != nil, let type = tensor.type.product else { return tensor.write(matrix) }
        precondition(matrix.count == tensor.bytes, "a matrix is written as a whole")
        var target = product_matrix(type: type, packed: nil, width: Int64(tensor[0]), rows: Int64(tensor[1]))
        product_pack(&target, matrix.baseAddress, tensor.hostAddress)
    }
}
