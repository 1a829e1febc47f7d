import CAttention

/// Some layers' caches of one shape, together larger than the processor's caches, and one token's vectors.
final class KernelFixture {
    struct Shape: Sendable {
        var type = ATTENTION_F16
        var dimension = 128
        var group = 4
        var heads = 8
        var slots = 2048
        var rule = ATTENTION_POSITIONAL
        /// Recent tokens whose queries vote, for rules that score.
        var window = 32
    }

    /// Bytes of keys and values that one step reads.
    let bytesPerStep: Int
    private let shape: Shape
    private var caches: [attention_cache] = []
    private var memory: [UnsafeMutableRawPointer] = []
    private let level = attention_best_level()
    private var layer = 0

    init(_ shape: Shape, totalBytes: Int = 256 << 20) {
        self.shape = shape
        let rowBytes = attention_row_bytes(shape.type, Int32(shape.dimension))
        bytesPerStep = 2 * shape.heads * shape.slots * rowBytes
        for _ in 0..<max(1, totalBytes / bytesPerStep) { caches.append(cache(rowBytes)) }
    }

    deinit { for pointer in memory { pointer.deallocate() } }

    private func zeros(_ bytes: Int) -> UnsafeMutableRawPointer {
        let pointer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        pointer.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        memory.append(pointer)
        return pointer
    }

    private func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        zeros(4 * count).bindMemory(to: Float.self, capacity: count)
    }

    /// Rows with numbers between -0.5 and 0.5.
    private func rows(_ rowBytes: Int) -> UnsafeMutableRawPointer {
        let count = shape.heads * shape.slots
        let rows = zeros(count * rowBytes)
        let numbers = (0..<shape.dimension).map { Float(($0 * 37) % 101) / 101 - 0.5 }
        for row in 0..<count {
            attention_store_row(shape.type, numbers, rows + row * rowBytes, Int32(shape.dimension))
        }
        return rows
    }

    private func cache(_ rowBytes: Int) -> attention_cache {
        var cache = attention_cache()
        cache.key_type = shape.type
        cache.value_type = shape.type
        cache.dimension = Int32(shape.dimension)
        cache.group = Int32(shape.group)
        cache.heads = Int32(shape.heads)
        cache.model_heads = cache.heads
        cache.slots = Int32(shape.slots)
        cache.keys = rows(rowBytes)
        cache.values = rows(rowBytes)
        cache.scale = 1 / Float(shape.dimension).squareRoot()
        cache.rule = shape.rule
        guard shape.rule != ATTENTION_POSITIONAL else { return cache }
        let count = shape.heads * shape.slots
        let queryHeads = shape.heads * shape.group
        cache.window = Int32(shape.window)
        cache.query_count = cache.window
        cache.positions = floats(count)
        for index in 0..<count { cache.positions[index] = Float(index % shape.slots) }
        cache.fresh = floats(count)
        cache.expiring = floats(count)
        cache.queries = floats(shape.window * queryHeads * shape.dimension)
        cache.normalizers = floats(shape.window * queryHeads)
        return cache
    }

    private lazy var query = floats(shape.heads * shape.group * shape.dimension)
    private lazy var row = floats(shape.heads * shape.dimension)
    private lazy var output = floats(shape.heads * shape.group * shape.dimension)
    private lazy var stride = attention_workspace(
        Int32(shape.dimension), Int32(shape.group), Int64(shape.slots))
    private lazy var workspace = floats(stride)

    /// One token through the next layer's cache, which is full.
    func step() {
        var barrier = attention_barrier()
        caches.withUnsafeBufferPointer { caches in
            let run = attention_run(
                cache: caches.baseAddress! + layer, column: 0, columns: 1, used: Int32(shape.slots),
                position: 100_000, since_hand_over: 0)
            withUnsafePointer(to: run) { run in
                withUnsafeMutablePointer(to: &barrier) { barrier in
                    var batch = attention_batch(
                        runs: run, run_count: 1, workspace: workspace, workspace_stride: stride, barrier: barrier,
                        level: level)
                    attention_compute(&batch, query, row, row, output, 0, 1)
                }
            }
        }
        layer = (layer + 1) % caches.count
    }
}
