import CAttention

/// Some layers' caches of one shape, together larger than the processor's caches, and one token's vectors.
final class KernelFixture {
    struct Shape: Sendable {
        var type = ATTENTION_F16
        var dimension = 128
        var group = 4
        var heads = 8
        var slots = 2048
        /// Whether slots are chosen by the sum of the weights that the last queries gave.
        var scores = false
        /// These queries.
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
        cache.slots.key_type = shape.type
        cache.slots.value_type = shape.type
        cache.slots.dimension = Int32(shape.dimension)
        cache.slots.group = Int32(shape.group)
        cache.slots.heads = Int32(shape.heads)
        cache.slots.model_heads = cache.slots.heads
        cache.slots.count = Int32(shape.slots)
        cache.slots.keys = rows(rowBytes)
        cache.slots.values = rows(rowBytes)
        cache.scale = 1 / Float(shape.dimension).squareRoot()
        guard shape.scores else { return cache }
        let count = shape.heads * shape.slots
        let queryHeads = shape.heads * shape.group
        cache.slots.positions = floats(count)
        for index in 0..<count { cache.slots.positions[index] = Float(index % shape.slots) }
        cache.score.rule = ATTENTION_WINDOW_SUM
        cache.score.window = Int32(shape.window)
        cache.score.window_sum = attention_window_sum(
            query_count: cache.score.window, fresh: floats(count), expiring: floats(count),
            queries: floats(shape.window * queryHeads * shape.dimension),
            normalizers: floats(shape.window * queryHeads))
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
                position: 100_000, phase: 0, prompt_end: 0, pins: nil, pin_count: 0)
            withUnsafePointer(to: run) { run in
                withUnsafeMutablePointer(to: &barrier) { barrier in
                    var batch = attention_batch(
                        runs: run, run_count: 1, workspace: workspace, workspace_stride: stride, barrier: barrier,
                        level: level)
                    var vectors = attention_vectors(
                        query: query, frozen_query: nil, key: row, value: row, features: nil, feature_width: 0,
                        sinks: nil, output: output)
                    attention_compute(&batch, &vectors, 0, 1)
                }
            }
        }
        layer = (layer + 1) % caches.count
    }
}
