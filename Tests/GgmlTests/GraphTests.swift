import Foundation
import Ggml
import TestSupport
import Testing

@Suite struct GraphTests {
    private let backend: Backend

    init() throws { backend = try Backend(.cpu(), threads: 2) }

    /// Computes one result of inputs that are already filled.
    private func compute(_ inputs: [(shape: [Int], values: [Float])], _ build: (Graph, [Tensor]) -> Tensor) throws
        -> [Float]
    {
        let graph = try Graph(on: backend, capacity: 32)
        let tensors = inputs.enumerated().map { graph.input(.f32, $1.shape, name: "input\($0)") }
        let result = build(graph, tensors)
        graph.output(result)
        try graph.allocate()
        for (tensor, input) in zip(tensors, inputs) { tensor.write(input.values) }
        try graph.compute()
        return result.floats()
    }

    private func expectEqual(_ a: [Float], _ b: [Float], within tolerance: Float = 1e-5) {
        #expect(a.count == b.count)
        #expect(zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }, "\(a) \(b)")
    }

    @Test func arithmeticIsElementwise() throws {
        var random = SeededNumbers(2)
        let (a, b) = (random.floats(12), random.floats(12))
        let inputs = [(shape: [4, 3], values: a), (shape: [4, 3], values: b)]
        expectEqual(try compute(inputs) { $0.add($1[0], $1[1]) }, zip(a, b).map { $0 + $1 })
        expectEqual(try compute(inputs) { $0.subtract($1[0], $1[1]) }, zip(a, b).map { $0 - $1 })
        expectEqual(try compute(inputs) { $0.multiply($1[0], $1[1]) }, zip(a, b).map { $0 * $1 })
        expectEqual(try compute(inputs) { $0.maximum($1[0], $1[1]) }, zip(a, b).map { max($0, $1) })
        expectEqual(try compute([([4, 3], a)]) { $0.scale($1[0], by: 3, plus: 1) }, a.map { 3 * $0 + 1 })
        expectEqual(try compute([([4, 3], a)]) { $0.step($1[0]) }, a.map { $0 > 0 ? 1 : 0 })
    }

    @Test func aMatrixProductIsTheProductOfRows() throws {
        var random = SeededNumbers(3)
        let (k, n, m) = (17, 5, 3)
        let (a, b) = (random.floats(k * n), random.floats(k * m))
        let expected = (0..<m).flatMap { column in
            (0..<n).map { row in (0..<k).reduce(Float(0)) { $0 + a[row * k + $1] * b[column * k + $1] } }
        }
        expectEqual(try compute([([k, n], a), ([k, m], b)]) { $0.matmul($1[0], $1[1]) }, expected, within: 1e-4)
    }

    @Test func softmaxAndNormWorkOnRows() throws {
        var random = SeededNumbers(4)
        let values = random.floats(12)
        let rows = (0..<3).map { Array(values[$0 * 4..<$0 * 4 + 4]) }
        let soft = rows.flatMap { row in row.map { exp($0) / row.reduce(0) { $0 + exp($1) } } }
        expectEqual(try compute([([4, 3], values)]) { $0.softmax($1[0]) }, soft)
        let weight: [Float] = [1, 2, 3, 4]
        let norm = rows.flatMap { row in
            let scale = 1 / (row.reduce(0) { $0 + $1 * $1 } / 4 + 1e-5).squareRoot()
            return zip(row, weight).map { $0 * scale * $1 }
        }
        expectEqual(
            try compute([([4, 3], values), ([4], weight)]) { $0.rmsNorm($1[0], weight: $1[1], epsilon: 1e-5) }, norm)
    }

    @Test func viewsLookAtTheSameMemory() throws {
        let values = (0..<12).map(Float.init)
        expectEqual(
            try compute([([4, 3], values)]) { $0.contiguous($0.view($1[0], [2, 2], strides: [16], offset: 20)) },
            [5, 6, 9, 10])
        expectEqual(
            try compute([([4, 3], values)]) { $0.contiguous($0.permute($1[0], [1, 0, 2, 3])) },
            (0..<4).flatMap { column in (0..<3).map { Float($0 * 4 + column) } })
        expectEqual(try compute([([4, 3], values)]) { $0.reshape($1[0], [2, 6]) }, values)
    }

    @Test func aGraphIsBuiltOnceAndRunOften() throws {
        let graph = try Graph(on: backend, capacity: 8)
        let input = graph.input(.f32, [3], name: "input")
        let result = graph.scale(input, by: 2)
        graph.output(result)
        try graph.allocate()
        let bytes = graph.allocatedBytes
        for step in 0..<50 {
            input.write([Float(step), 1, -1])
            try graph.compute()
            #expect(result.floats() == [2 * Float(step), 2, -2])
        }
        #expect(graph.allocatedBytes == bytes)
    }

    @Test func graphsThatRunOneAfterTheOtherShareMemory() throws {
        let allocator = try GraphAllocator(on: backend)
        var largest = 0
        for size in [1000, 10, 500, 1000] {
            let graph = try Graph(on: backend, capacity: 16, allocator: allocator)
            let input = graph.input(.f32, [size], name: "input")
            let result = graph.add(graph.scale(input, by: 2), input)
            graph.output(result)
            try graph.allocate()
            input.write([Float](repeating: 1, count: size))
            try graph.compute()
            #expect(result.floats() == [Float](repeating: 3, count: size))
            if largest > 0 { #expect(allocator.allocatedBytes == largest) }
            largest = max(largest, allocator.allocatedBytes)
        }
    }

    @Test func aGraphWritesIntoTensorsThatOutliveIt() throws {
        let arena = try Arena(tensors: 1)
        let state = arena.tensor(.f32, [4], name: "state")
        let planned = arena.plannedBytes(on: backend)
        try arena.allocate(on: backend)
        #expect(arena.allocatedBytes == planned)
        #expect(state.floats() == [0, 0, 0, 0])
        do {
            let graph = try Graph(on: backend, capacity: 8)
            let one = graph.input(.f32, [4], name: "one")
            graph.schedule(graph.copy(graph.add(state, one), to: state))
            try graph.allocate()
            one.write([1, 2, 3, 4] as [Float])
            try graph.compute()
            try graph.compute()
        }
        #expect(state.floats() == [2, 4, 6, 8])
    }

    @Test func aTensorKeepsItsMemoryAlive() throws {
        func make() throws -> Tensor {
            let arena = try Arena(tensors: 1)
            let tensor = arena.tensor(.f16, [2, 2], name: "kept")
            try arena.allocate(on: backend)
            tensor.write([UInt16](repeating: 0x3C00, count: 4))
            return tensor
        }
        let tensor = try make()
        #expect(tensor.floats() == [1, 1, 1, 1])
        #expect(tensor.name == "kept")
        #expect(tensor.shape == [2, 2, 1, 1])
        #expect(tensor.strides[1] == 4)
        tensor.fill(byte: 0)
        #expect(tensor.floats() == [0, 0, 0, 0])
    }

    @Test func moreMemoryThanTheDeviceHasIsAnError() throws {
        let arena = try Arena(tensors: 1)
        _ = arena.tensor(.f32, [1 << 40, 16])
        let error = #expect(throws: GgmlError.self) { try arena.allocate(on: backend) }
        #expect(error?.kind == .memory)
        #expect(arena.allocatedBytes == 0)
    }

    @Test func whatTheDeviceCannotExecuteIsNamed() throws {
        let graph = try Graph(on: backend, capacity: 8)
        let values = graph.input(.f32, [256], name: "values")
        let coarse = graph.input(try #require(ElementType(named: "iq1_s")), [256], name: "coarse")
        graph.schedule(graph.copy(values, to: coarse))
        let error = #expect(throws: GgmlError.self) { try graph.allocate() }
        #expect(error?.kind == .device)
        #expect(error?.description.contains("CPY") == true)
    }
}
