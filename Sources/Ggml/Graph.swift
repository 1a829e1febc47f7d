internal import CLlama

/// The memory of intermediate results, which graphs that run one after the other can share.
package final class GraphAllocator {
    /// For each device that a graph ran on.
    private var pointers: [Device: ggml_gallocr_t] = [:]
    /// The largest graphs of each kind for which there is room.
    private var reserved: [Device: [AnyHashable: Int]] = [:]

    package init(on backend: Backend) throws { _ = try pointer(on: backend) }

    /// Lets graphs be allocated for their memory alone, unless that was done for those of the kind of that size or a larger one:
    /// memory once taken stays.
    package func reserve(_ kind: some Hashable, size: Int, on backend: Backend, _ allocate: () throws -> Void) rethrows
    {
        guard size > reserved[backend.device]?[kind] ?? 0 else { return }
        try allocate()
        reserved[backend.device, default: [:]][kind] = size
    }

    deinit { for pointer in pointers.values { ggml_gallocr_free(pointer) } }

    fileprivate func pointer(on backend: Backend) throws -> ggml_gallocr_t {
        if let pointer = pointers[backend.device] { return pointer }
        guard let pointer = ggml_gallocr_new(backend.bufferType) else {
            throw GgmlError(.memory, "no memory for a graph allocator")
        }
        pointers[backend.device] = pointer
        return pointer
    }

    /// Bytes held on all devices.
    package var allocatedBytes: Int { pointers.values.reduce(0) { $0 + ggml_gallocr_get_buffer_size($1, 0) } }
}

/// A computation that is described once and executed as often as wanted.
///
/// Operations run in the order in which they were described as far as ``schedule(_:)`` has seen them,
/// which matters for those that write into tensors that live elsewhere.
package final class Graph {
    package let arena: Arena
    package let backend: Backend
    private let graph: OpaquePointer
    private let allocator: GraphAllocator
    private var isAllocated = false
    private var hasRun = false
    /// Vectors that products of the kernel have rounded.
    var roundedVectors: [RoundedVectors: Tensor] = [:]

    /// - Parameters:
    ///   - capacity: an upper bound on the operations, views and inputs of the graph.
    ///   - allocator: shared with graphs that no longer run; its own if nil.
    package init(on backend: Backend, capacity: Int, allocator: GraphAllocator? = nil) throws {
        arena = try Arena(tensors: capacity, graphNodes: capacity)
        self.backend = backend
        guard let graph = ggml_new_graph_custom(arena.context, capacity, false) else {
            throw GgmlError(.memory, "no memory for a graph of \(capacity) operations")
        }
        self.graph = graph
        self.allocator = try allocator ?? GraphAllocator(on: backend)
    }

    /// A tensor that the host fills before ``compute()``.
    package func input(_ type: ElementType, _ shape: [Int], name: String) -> Tensor {
        let tensor = arena.tensor(type, shape, name: name)
        ggml_set_input(tensor.pointer)
        return tensor
    }

    /// Adds a result and everything it needs, after all that was scheduled before.
    package func schedule(_ tensor: Tensor) { ggml_build_forward_expand(graph, tensor.pointer) }

    /// Schedules a result that the host reads after ``compute()``.
    package func output(_ tensor: Tensor) {
        ggml_set_output(tensor.pointer)
        schedule(tensor)
    }

    /// Plans and allocates the memory of all intermediate results.
    ///
    /// - Throws: ``GgmlError`` naming the first operation that the device cannot execute, or of kind `memory`.
    package func allocate() throws {
        for index in 0..<ggml_graph_n_nodes(graph) {
            let node = ggml_graph_node(graph, index)!
            guard ggml_backend_supports_op(backend.pointer, node) else {
                let operation = String(cString: ggml_op_desc(node))
                throw GgmlError(
                    .device,
                    "device \(backend.device.name) cannot execute \(operation) (\(ElementType(node.pointee.type)))")
            }
        }
        guard ggml_gallocr_alloc_graph(try allocator.pointer(on: backend), graph) else {
            try backend.check()
            throw GgmlError(.memory, "device \(backend.device.name) has no memory left for intermediate results")
        }
        isAllocated = true
    }

    /// How many operations are executed, views and changes of shape left out: as many launches as there are where the device's
    /// backend puts none together.
    package var operationCount: Int {
        (0..<ggml_graph_n_nodes(graph)).count { !Self.views.contains(ggml_graph_node(graph, $0)!.pointee.op.rawValue) }
    }

    private static let views = Set(
        [GGML_OP_NONE, GGML_OP_RESHAPE, GGML_OP_VIEW, GGML_OP_PERMUTE, GGML_OP_TRANSPOSE].map(\.rawValue))

    /// Bytes of intermediate results that the graph holds on its device.
    package var allocatedBytes: Int { allocator.allocatedBytes }

    /// Executes every operation and waits for the last one.
    package func compute() throws {
        precondition(isAllocated, "a graph is allocated before it computes")
        guard !backend.isRehearsal else { return }
        try backend.check()
        var status = GGML_STATUS_SUCCESS
        if !hasRun, backend.device.compilesOneAtATime {
            status = try computeOneByOne()
        } else {
            status = ggml_backend_graph_compute(backend.pointer, graph)
        }
        hasRun = true
        guard status == GGML_STATUS_SUCCESS else {
            throw GgmlError(
                .compute, "device \(backend.device.name) failed: \(String(cString: ggml_status_to_string(status)))")
        }
        try backend.pause?()
    }

    /// The same one operation after the other, so that the device compiles none while another runs.
    private func computeOneByOne() throws -> ggml_status {
        let part = try Arena(tensors: 1, graphNodes: 1)
        let single = ggml_new_graph_custom(part.context, 1, false)
        for index in 0..<ggml_graph_n_nodes(graph) {
            ggml_graph_clear(single)
            ggml_graph_add_node(single, ggml_graph_node(graph, index))
            let status = ggml_backend_graph_compute(backend.pointer, single)
            guard status == GGML_STATUS_SUCCESS else { return status }
            ggml_backend_synchronize(backend.pointer)
        }
        return GGML_STATUS_SUCCESS
    }

    func wrap(_ pointer: UnsafeMutablePointer<ggml_tensor>?, uses tensors: Tensor...) -> Tensor {
        for tensor in tensors { arena.retain(tensor.arena) }
        return arena.wrap(pointer)
    }
}
