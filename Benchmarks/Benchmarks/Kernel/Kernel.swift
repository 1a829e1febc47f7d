import Benchmark
import CAttention

/// Megabytes of keys and values, or of plain memory, read in a second by one thread.
let rate = BenchmarkMetric.custom("MB/s", polarity: .prefersLarger, useScalingFactor: false)

/// Each benchmark is one token through one layer's full cache; `read` is what the machine's memory can deliver.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(metrics: [.wallClock, rate], maxDuration: .seconds(2), maxIterations: 2000)

    let words = (256 << 20) / 8
    Benchmark("read") { benchmark, memory in
        measure(benchmark, bytes: words * 8) { blackHole(attention_read(memory, words)) }
    } setup: {
        let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
        memory.initialize(repeating: 1, count: words)
        return UnsafePointer(memory)
    }

    let types = [
        ("f32", ATTENTION_F32), ("f16", ATTENTION_F16), ("bf16", ATTENTION_BF16), ("q8_0", ATTENTION_Q8_0),
        ("q4_0", ATTENTION_Q4_0), ("q5_1", ATTENTION_Q5_1),
    ]
    for (name, type) in types {
        for slots in [256, 2048] { add("\(name), \(slots) slots, 32/8 heads of 128", .init(type: type, slots: slots)) }
    }
    add("f16, 1024 slots, 32/8 heads of 64", .init(dimension: 64, slots: 1024))
    add("f16, 1024 slots, 14/2 heads of 64", .init(dimension: 64, group: 7, heads: 2, slots: 1024))
    add("f16, 1024 slots, 32/32 heads of 96", .init(dimension: 96, group: 1, heads: 32, slots: 1024))
    add("window sum, f16, 1024 slots, 32/8 heads of 64", .init(dimension: 64, slots: 1024, scores: true))
}

@Sendable func add(_ name: String, _ shape: KernelFixture.Shape) {
    Benchmark(name) { benchmark, fixture in
        measure(benchmark, bytes: fixture.bytesPerStep) { fixture.step() }
    } setup: {
        KernelFixture(shape)
    }
}

@Sendable func measure(_ benchmark: Benchmark, bytes: Int, _ work: () -> Void) {
    let clock = ContinuousClock()
    benchmark.startMeasurement()
    let time = clock.measure(work)
    benchmark.stopMeasurement()
    benchmark.measurement(rate, Int(Double(bytes) / (time / .seconds(1)) / 1e6))
}
