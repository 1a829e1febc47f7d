import CAttention
import Foundation
import TestSupport
import Testing

/// A cache with memory of its own, filled with seeded numbers.
final class KernelCase {
    struct Shape: Sendable, CustomTestStringConvertible {
        var keyType = ATTENTION_F16
        var valueType = ATTENTION_F16
        var dimension = 64
        var group = 2
        var heads = 2
        var slots = 33
        /// Filled slots before the token.
        var used = 20
        /// Frozen entries of each head.
        var frozen: [Int] = []

        var testDescription: String {
            "\(keyType.rawValue)/\(valueType.rawValue) \(group * heads)/\(heads) of \(dimension), \(used)/\(slots) \(frozen)"
        }
    }

    let shape: Shape
    /// A term of each query head's softmax that no entry gets: `[heads * group]`; empty for none.
    var sinks: [Float] = []
    var cache = attention_cache()
    let keys, values, frozenKeys, frozenValues: UnsafeMutableRawPointer
    let frozenPositions, positions: UnsafeMutablePointer<Float>
    private let starts: UnsafeMutablePointer<Int64>
    private var owned: [UnsafeMutableRawPointer] = []
    private var random: SeededNumbers

    init(_ shape: Shape, seed: UInt64 = 1) {
        self.shape = shape
        random = SeededNumbers(seed)
        var owned: [UnsafeMutableRawPointer] = []
        func memory(_ bytes: Int) -> UnsafeMutableRawPointer {
            let pointer = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: 64)
            pointer.initializeMemory(as: UInt8.self, repeating: 0, count: max(bytes, 1))
            owned.append(pointer)
            return pointer
        }
        let rows = shape.heads * shape.slots
        let frozen = shape.frozen.reduce(0, +)
        let keyBytes = attention_row_bytes(shape.keyType, Int32(shape.dimension))
        let valueBytes = attention_row_bytes(shape.valueType, Int32(shape.dimension))
        keys = memory(rows * keyBytes)
        values = memory(rows * valueBytes)
        frozenKeys = memory(frozen * keyBytes)
        frozenValues = memory(frozen * valueBytes)
        positions = memory(rows * 4).assumingMemoryBound(to: Float.self)
        frozenPositions = memory(frozen * 4).assumingMemoryBound(to: Float.self)
        starts = memory((shape.heads + 1) * 8).assumingMemoryBound(to: Int64.self)
        self.owned = owned
        describe()
    }

    /// Sinks from far below to far above what scores are like.
    static func sinks(_ shape: Shape) -> [Float] { (0..<shape.heads * shape.group).map { Float($0 % 5) * 3 - 6 } }

    deinit { for pointer in owned { pointer.deallocate() } }

    private func describe() {
        cache.slots.key_type = shape.keyType
        cache.slots.value_type = shape.valueType
        cache.slots.dimension = Int32(shape.dimension)
        cache.slots.group = Int32(shape.group)
        cache.slots.heads = Int32(shape.heads)
        cache.slots.model_heads = cache.slots.heads
        cache.slots.count = Int32(shape.slots)
        cache.slots.keys = keys
        cache.slots.values = values
        cache.scale = 1 / Float(shape.dimension).squareRoot()
        cache.slots.ring_sinks = -1
        let keyBytes = attention_row_bytes(shape.keyType, cache.slots.dimension)
        let valueBytes = attention_row_bytes(shape.valueType, cache.slots.dimension)
        for row in 0..<shape.heads * shape.slots where row % shape.slots < shape.used {
            attention_store_row(
                shape.keyType, floats(shape.dimension), keys + row * keyBytes, cache.slots.dimension)
            attention_store_row(
                shape.valueType, floats(shape.dimension), values + row * valueBytes, cache.slots.dimension)
        }
        guard !shape.frozen.isEmpty else { return }
        for (head, count) in shape.frozen.enumerated() {
            starts[head + 1] = starts[head] + Int64(count)
        }
        for row in 0..<shape.frozen.reduce(0, +) {
            attention_store_row(
                shape.keyType, floats(shape.dimension), frozenKeys + row * keyBytes, cache.slots.dimension)
            attention_store_row(
                shape.valueType, floats(shape.dimension), frozenValues + row * valueBytes,
                cache.slots.dimension)
            frozenPositions[row] = Float(row)
        }
        cache.frozen = attention_frozen(
            keys: frozenKeys, values: frozenValues, positions: frozenPositions, starts: starts)
    }

    /// Seeded numbers between -1 and 1.
    func floats(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(Int64(bitPattern: random.next()) >> 20) / Float(1 << 43) }
    }

    /// Memory of zeros that lives as long as the case.
    func zeros(_ count: Int, filledWith value: Float = 0) -> UnsafeMutablePointer<Float> {
        let pointer = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * 4, alignment: 64)
        owned.append(pointer)
        let floats = pointer.bindMemory(to: Float.self, capacity: max(1, count))
        floats.initialize(repeating: value, count: max(1, count))
        return floats
    }

    /// Memory with numbers that lives as long as the case; exactly as long as they are.
    func place<Number: BitwiseCopyable>(all numbers: [Number]) -> UnsafeMutablePointer<Number> {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: max(1, numbers.count) * MemoryLayout<Number>.stride, alignment: 64)
        owned.append(memory)
        let typed = memory.bindMemory(to: Number.self, capacity: max(1, numbers.count))
        typed.initialize(from: numbers, count: numbers.count)
        return typed
    }

    /// Memory with ranges that lives as long as the case; nil for none.
    private func place(_ ranges: [Range<Int>]) -> UnsafeMutablePointer<attention_range>? {
        guard !ranges.isEmpty else { return nil }
        return place(
            all: ranges.map { attention_range(first: Int64($0.lowerBound), end: Int64($0.upperBound)) })
    }

    /// Memory with a plain C value that lives as long as the case.
    func place<Value>(_ value: Value) -> UnsafeMutablePointer<Value> {
        let pointer = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        pointer.initialize(to: value)
        owned.append(pointer)
        return pointer
    }

    /// Runs some tokens through the cache.
    ///
    /// - Parameters:
    ///   - frozenQueries: like `queries`, for frozen entries; empty if they see the same.
    ///   - features: `[columns][heads][width]`; empty for none.
    /// - Returns: `[columns][queryHeads][dimension]`
    func run(
        queries: [Float], frozenQueries: [Float] = [], newKeys: [Float], newValues: [Float], features: [Float] = [],
        columns: Int = 1,
        position: Int? = nil, used: Int? = nil, phase: Int = 0, promptEnd: Int = 0, pins: [Range<Int>] = [],
        level: attention_level, threads: Int
    ) -> [Float] {
        let visible = Int64(shape.slots + (shape.frozen.max() ?? 0))
        let stride = attention_workspace(cache.slots.dimension, cache.slots.group, visible)
        let run = attention_run(
            cache: place(cache), column: 0, columns: Int32(columns), used: Int32(used ?? shape.used),
            position: Int64(position ?? shape.used), phase: Int32(phase),
            prompt_end: Int64(promptEnd),
            pins: place(pins), pin_count: Int32(pins.count))
        let batch = attention_batch(
            runs: place(run), run_count: 1, workspace: zeros(stride * threads, filledWith: .nan),
            workspace_stride: stride, barrier: place(attention_barrier()), level: level)
        let output = zeros(queries.count, filledWith: .nan)
        let vectors = attention_vectors(
            query: place(all: queries), frozen_query: frozenQueries.isEmpty ? nil : place(all: frozenQueries),
            key: place(all: newKeys), value: place(all: newValues),
            features: features.isEmpty ? nil : place(all: features),
            feature_width: Int32(features.count / (columns * shape.heads)),
            sinks: sinks.isEmpty ? nil : UnsafePointer(place(all: sinks)), output: output)
        Job(batch: batch, vectors: vectors).run(threads: threads)
        return Array(UnsafeBufferPointer(start: output, count: queries.count))
    }

    /// Runs a token through each of some caches of one model in one batch; the arguments are the cases' one after the other.
    ///
    /// - Returns: `[cases][queryHeads][dimension]`
    static func run(
        _ cases: [KernelCase], queries: [Float], newKeys: [Float], newValues: [Float], level: attention_level,
        threads: Int
    ) -> [Float] {
        let owner = cases[0]
        let stride = cases.map { test in
            attention_workspace(
                test.cache.slots.dimension, test.cache.slots.group,
                Int64(test.shape.slots + (test.shape.frozen.max() ?? 0)))
        }.max()!
        let runs = cases.enumerated().map { column, test in
            attention_run(
                cache: owner.place(test.cache), column: Int32(column), columns: 1, used: Int32(test.shape.used),
                position: Int64(test.shape.used), phase: 0, prompt_end: 0, pins: nil, pin_count: 0)
        }
        let batch = attention_batch(
            runs: owner.place(all: runs), run_count: Int32(runs.count),
            workspace: owner.zeros(stride * threads, filledWith: .nan), workspace_stride: stride,
            barrier: owner.place(attention_barrier()), level: level)
        let output = owner.zeros(queries.count, filledWith: .nan)
        let vectors = attention_vectors(
            query: owner.place(all: queries), frozen_query: nil, key: owner.place(all: newKeys),
            value: owner.place(all: newValues), features: nil, feature_width: 0,
            sinks: owner.sinks.isEmpty ? nil : UnsafePointer(owner.place(all: owner.sinks)), output: output)
        Job(batch: batch, vectors: vectors).run(threads: threads)
        return Array(UnsafeBufferPointer(start: output, count: queries.count))
    }

    /// Sound: the threads write to different parts, or wait for each other at the barrier.
    private struct Job: @unchecked Sendable {
        let batch: attention_batch
        let vectors: attention_vectors

        /// Real threads: a pool may run fewer at a time, and they wait for each other.
        func run(threads: Int) {
            let done = DispatchGroup()
            for thread in 0..<threads {
                done.enter()
                Thread.detachNewThread {
                    var (batch, vectors) = (batch, vectors)
                    attention_compute(&batch, &vectors, Int32(thread), Int32(threads))
                    done.leave()
                }
            }
            done.wait()
        }
    }
}

/// Every instruction set that this machine can run.
let levels: [attention_level] = [
    ATTENTION_PLAIN, ATTENTION_AVX2, ATTENTION_AVX_VNNI, ATTENTION_AVX512, ATTENTION_VNNI,
].filter { attention_can_run($0) }
