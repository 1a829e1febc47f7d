internal import CLlama

/// Arenas of one shape that lie behind each other in the memory of a larger one.
///
/// The larger arena describes the same tensors in the same order, each with the smaller ones behind each other.
extension Arena {
    /// Moves every tensor, with what it holds, to part `index` of the tensor that `other` describes at the same place; the
    /// arena's own memory is released.
    package func move(into other: Arena, part index: Int) {
        for (tensor, whole) in zip(tensors, other.tensors) {
            let address = whole.pointee.data + index * ggml_nbytes(tensor)
            copy(tensor, to: address, in: whole.pointee.buffer)
            (tensor.pointee.data, tensor.pointee.buffer) = (address, whole.pointee.buffer)
        }
        leaveBuffer()
        place = Place(arena: other, part: index)
        moves += 1
    }

    /// Lets every tensor lie at the beginning of the tensor that `other` describes at the same place.
    package func share(_ other: Arena) {
        for (tensor, whole) in zip(tensors, other.tensors) {
            precondition(ggml_nbytes(tensor) <= ggml_nbytes(whole), "a part is not larger than the whole")
            (tensor.pointee.data, tensor.pointee.buffer) = (whole.pointee.data, whole.pointee.buffer)
        }
        place = Place(arena: other, part: 0)
    }

    /// Moves every tensor, with what it holds, to memory of the arena's own.
    ///
    /// - Throws: ``GgmlError`` of kind `memory`; nothing has moved then.
    package func moveHome(on backend: Backend) throws {
        guard place != nil else { return }
        let before = tensors.map { ($0.pointee.data, $0.pointee.buffer) }
        for tensor in tensors { (tensor.pointee.data, tensor.pointee.buffer) = (nil, nil) }
        do {
            try allocate(in: backend.bufferType, of: backend.device)
        } catch {
            for (tensor, old) in zip(tensors, before) { (tensor.pointee.data, tensor.pointee.buffer) = old }
            throw error
        }
        for (tensor, old) in zip(tensors, before) {
            var source = tensor.pointee
            (source.data, source.buffer) = old
            ggml_backend_tensor_copy(&source, tensor)
        }
        place = nil
        moves += 1
    }

    /// Exchanges the memory of two arenas of the same shape; each keeps what it holds.
    package func exchange(with other: Arena) {
        for (a, b) in zip(tensors, other.tensors) {
            let size = ggml_nbytes(a)
            let held = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
            defer { held.deallocate() }
            ggml_backend_tensor_get(a, held, 0, size)
            copy(b, to: a.pointee.data, in: a.pointee.buffer)
            ggml_backend_tensor_set(b, held, 0, size)
            swap(&a.pointee.data, &b.pointee.data)
            swap(&a.pointee.buffer, &b.pointee.buffer)
        }
        swapMemory(with: other)
        moves += 1
        other.moves += 1
    }

    /// Whether the tensors lie at part `index` of another arena's.
    package func lies(in other: Arena, part index: Int) -> Bool { place?.arena === other && place?.part == index }

    private func copy(
        _ tensor: UnsafeMutablePointer<ggml_tensor>, to address: UnsafeMutableRawPointer,
        in buffer: ggml_backend_buffer_t?
    ) {
        var target = tensor.pointee
        (target.data, target.buffer) = (address, buffer)
        ggml_backend_tensor_copy(tensor, &target)
    }

    /// In the order in which they were described.
    private var tensors: [UnsafeMutablePointer<ggml_tensor>] {
        Array(sequence(first: ggml_get_first_tensor(context)) { ggml_get_next_tensor(self.context, $0) })
            .compactMap(\.self)
    }
}
