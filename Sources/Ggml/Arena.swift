internal import CAttention
internal import CLlama

/// Owns the descriptions of a set of tensors and the memory they lie in.
///
/// Tensors hold on to their arena, so a tensor's memory lives as long as anything can reach it.
/// Not Sendable, except that an arena nobody writes to any more may be read from everywhere
/// (see ``ReadOnly``).
package final class Arena {
    let context: OpaquePointer
    private var buffer: ggml_backend_buffer_t?
    private var keepAlive: [AnyObject] = []
    /// Where the tensors lie if not in memory of the arena's own.
    struct Place {
        let arena: Arena
        let part: Int
    }
    var place: Place?
    /// How often the tensors have moved: graphs that were made before know where they were.
    package internal(set) var moves = 0
    /// The instructions by which the kernel multiplies the matrices here, which lie in its layout; nil if they do not.
    var products: attention_level?
    /// Bytes of the memory that the arena had before it moved.
    private var ownBytes = 0
    private var kept: Set<ObjectIdentifier> = []

    /// Makes room for the descriptions of `tensors` tensors and, optionally, one graph of `graphNodes` nodes.
    package init(tensors: Int, graphNodes: Int = 0) throws {
        Log.redirect()
        let graphBytes = graphNodes > 0 ? ggml_graph_overhead_custom(graphNodes, false) : 0
        let parameters = ggml_init_params(
            mem_size: (tensors + 1) * ggml_tensor_overhead() + graphBytes, mem_buffer: nil, no_alloc: true)
        guard let context = ggml_init(parameters) else {
            throw GgmlError(.memory, "no memory for the descriptions of \(tensors) tensors")
        }
        self.context = context
    }

    deinit {
        if let buffer { ggml_backend_buffer_free(buffer) }
        ggml_free(context)
    }

    /// Describes a new tensor; `shape` has 1 to 4 dimensions, the fastest first.
    package func tensor(_ type: ElementType, _ shape: [Int], name: String? = nil) -> Tensor {
        precondition((1...4).contains(shape.count), "a tensor has 1 to 4 dimensions")
        let extents = shape.map(Int64.init)
        let tensor = wrap(ggml_new_tensor(context, type.ggml, Int32(extents.count), extents))
        if let name { ggml_set_name(tensor.pointer, name) }
        return tensor
    }

    func wrap(_ pointer: UnsafeMutablePointer<ggml_tensor>?) -> Tensor {
        // ggml returns NULL only when the arena was created too small: a mistake in our own arithmetic.
        Tensor(pointer: pointer!, arena: self)
    }

    /// Keeps another owner alive as long as this one, because tensors here point into its memory.
    func retain(_ owner: AnyObject) {
        guard owner !== self, kept.insert(ObjectIdentifier(owner)).inserted else { return }
        keepAlive.append(owner)
    }

    /// Bytes that ``allocate(on:)`` will take on the device.
    package func plannedBytes(on backend: Backend) -> Int { plannedBytes(in: backend.bufferType) }

    /// Bytes that ``allocate(on:)`` would take on a device.
    package func plannedBytes(on device: Device) -> Int {
        plannedBytes(in: ggml_backend_dev_buffer_type(device.pointer))
    }

    private func plannedBytes(in type: ggml_backend_buffer_type_t) -> Int {
        ggml_backend_alloc_ctx_tensors_from_buft_size(context, type)
    }

    /// Gives every tensor described so far its memory, cleared to zero.
    ///
    /// - Throws: ``GgmlError`` of kind `memory` when the device has not enough.
    package func allocate(on backend: Backend) throws {
        try allocate(in: backend.bufferType, of: backend.device)
        if let buffer { ggml_backend_buffer_clear(buffer, 0) }
    }

    func allocate(in type: ggml_backend_buffer_type_t, of device: Device) throws {
        precondition(buffer == nil, "an arena is allocated once")
        let bytes = plannedBytes(in: type)
        guard bytes > 0 else { return }
        // Systems that overcommit grant any amount and kill the process when it is touched.
        let total = device.memory.total
        guard total == 0 || bytes <= total else {
            throw GgmlError(.memory, "device \(device.name) has \(total) bytes in all; \(bytes) are needed")
        }
        guard let buffer = ggml_backend_alloc_ctx_tensors_from_buft(context, type) else {
            if let host = device.host, host.isLost { throw device.lost(with: host) }
            throw GgmlError(.memory, "device \(device.name) has no \(bytes) bytes left")
        }
        if device.usesHostMemory, let memory = ggml_backend_buffer_get_base(buffer) {
            HugePages.ask(for: memory, bytes: ggml_backend_buffer_get_size(buffer))
        }
        self.buffer = buffer
    }

    /// Lets tensors of this arena lie in memory that already holds their values.
    ///
    /// - Parameters:
    ///   - memory: stays valid and unchanged as long as `owner` lives.
    ///   - placements: each tensor with its offset; inside `memory`, aligned as the device demands.
    package func map(
        _ memory: UnsafeMutableRawBufferPointer, ownedBy owner: AnyObject, on device: Device,
        placing placements: [(tensor: Tensor, offset: Int)]
    ) throws {
        precondition(buffer == nil, "an arena is allocated once")
        let largest = placements.map { $0.tensor.bytes }.max() ?? 0
        guard
            let buffer = ggml_backend_dev_buffer_from_host_ptr(
                device.pointer, memory.baseAddress, memory.count, largest)
        else {
            throw GgmlError(.memory, "device \(device.name) cannot use mapped memory")
        }
        ggml_backend_buffer_set_usage(buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS)
        self.buffer = buffer
        retain(owner)
        for (tensor, offset) in placements {
            precondition(offset >= 0 && offset + tensor.bytes <= memory.count, "a tensor lies inside its memory")
            let status = ggml_backend_tensor_alloc(buffer, tensor.pointer, memory.baseAddress! + offset)
            guard status == GGML_STATUS_SUCCESS else {
                throw GgmlError(.memory, "tensor \(tensor.name) could not be placed in mapped memory")
            }
        }
    }

    /// Bytes this arena holds on its device.
    package var allocatedBytes: Int { buffer.map(ggml_backend_buffer_get_size) ?? (place == nil ? 0 : ownBytes) }

    /// Releases the arena's own memory, where nothing lies any more.
    func leaveBuffer() {
        guard let buffer else { return }
        ownBytes = allocatedBytes
        ggml_backend_buffer_free(buffer)
        self.buffer = nil
    }

    /// Exchanges what owns the memory with an arena of the same shape.
    func swapMemory(with other: Arena) {
        let bytes = max(allocatedBytes, other.allocatedBytes)
        swap(&buffer, &other.buffer)
        swap(&place, &other.place)
        (ownBytes, other.ownBytes) = (bytes, bytes)
    }
}
