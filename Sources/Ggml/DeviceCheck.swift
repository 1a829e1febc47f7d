internal import Synchronization

/// Computes what models and caches are made of on a device and on the CPU, so that a device which computes wrongly is refused
/// before it writes an answer.
package enum DeviceCheck {
    private static let passed = Mutex<Set<Device>>([])

    /// Checks a device, once in a process; the CPU is what the others are compared with.
    ///
    /// - Throws: ``GgmlError`` of kind `device` that names the first operation which the device lacks or computes wrongly.
    package static func run(_ device: Device) throws {
        guard device.kind != .cpu, !passed.withLock({ $0.contains(device) }) else { return }
        let (reference, backend) = (try Backend(.cpu(), threads: 1), try Backend(device, threads: 1))
        for operation in operations {
            try compare(
                operation.name, expected: operation.result(on: reference), found: operation.result(on: backend),
                device: device.name)
        }
        passed.withLock { _ = $0.insert(device) }
    }

    /// - Throws: ``GgmlError`` if numbers differ by more than the order of sums and 16-bit products explain.
    package static func compare(_ operation: String, expected: [Float], found: [Float], device: String) throws {
        for (a, b) in zip(expected, found) where !(a == b || abs(a - b) <= 0.03 * max(1, abs(a))) {
            throw GgmlError(.device, "device \(device) computes \(operation) wrongly: \(b) where the CPU has \(a)")
        }
    }

    /// One result of inputs that are the same on every device.
    struct Operation {
        let name: String
        let build: (Inputs) -> Tensor

        func result(on backend: Backend) throws -> [Float] {
            let inputs = Inputs(graph: try Graph(on: backend, capacity: 64))
            let result = build(inputs)
            inputs.graph.output(result)
            try inputs.graph.allocate()
            for write in inputs.writers { write() }
            try inputs.graph.compute()
            return result.type == .i32 ? result.values(as: Int32.self).map(Float.init) : result.floats()
        }
    }

    /// The inputs of an operation; numbers from -1 to 1 that look random.
    final class Inputs {
        let graph: Graph
        var writers: [() -> Void] = []

        init(graph: Graph) { self.graph = graph }

        func numbers(_ shape: [Int], _ type: ElementType = .f32) -> Tensor {
            let tensor = graph.input(type, shape, name: "numbers")
            var state = UInt32(7 + writers.count)
            let values = (0..<tensor.count).map { _ in
                state = state &* 1_664_525 &+ 1_013_904_223
                return Float(state >> 8) / Float(1 << 23) - 1
            }
            writers.append {
                var bytes = [UInt8](repeating: 0, count: tensor.bytes)
                values.withUnsafeBufferPointer { values in
                    bytes.withUnsafeMutableBytes { type.quantize(values, rowLength: shape[0], into: $0.baseAddress!) }
                }
                tensor.write(bytes)
            }
            return tensor
        }

        func indices(_ shape: [Int], below end: Int) -> Tensor {
            let tensor = graph.input(.i32, shape, name: "indices")
            writers.append { [count = tensor.count] in tensor.write((0..<count).map { Int32($0 * 5 % end) }) }
            return tensor
        }
    }

    /// In heads of 64 numbers, 2 KV heads with 2 query heads each, 96 slots.
    static var operations: [Operation] { arithmetic + layers + caches }

    private static var arithmetic: [Operation] {
        [
            Operation(name: "add") { $0.graph.add($0.numbers([96, 2]), $0.numbers([1, 2])) },
            Operation(name: "subtract") { $0.graph.subtract($0.numbers([96, 2]), $0.numbers([1, 2])) },
            Operation(name: "multiply") { $0.graph.multiply($0.numbers([96, 2]), $0.numbers([96, 2])) },
            Operation(name: "scale") { $0.graph.scale($0.numbers([96, 2]), by: -3, plus: 2) },
            Operation(name: "step") { $0.graph.step($0.numbers([96, 2])) },
            Operation(name: "exp") { $0.graph.exp($0.numbers([96, 2])) },
            Operation(name: "log") { $0.graph.log($0.graph.exp($0.numbers([96, 2]))) },
            Operation(name: "sum_rows") { $0.graph.sumRows($0.numbers([96, 2])) },
            Operation(name: "argmax") { $0.graph.argmax($0.numbers([96, 2])) },
            Operation(name: "concat") { $0.graph.concat($0.numbers([64, 2]), $0.numbers([64, 3]), along: 1) },
            Operation(name: "permute and cont") {
                $0.graph.contiguous($0.graph.permute($0.numbers([64, 5, 2]), [1, 0, 2, 3]))
            },
            Operation(name: "cast to f16") { $0.graph.cast($0.numbers([96, 2]), to: .f16) },
        ]
    }

    private static var layers: [Operation] {
        [
            Operation(name: "mul_mat with f32") { $0.graph.matmul($0.numbers([64, 96]), $0.numbers([64, 1])) },
            Operation(name: "mul_mat with f16") { $0.graph.matmul($0.numbers([64, 96], .f16), $0.numbers([64, 3])) },
            Operation(name: "mul_mat with q8_0") {
                $0.graph.matmul($0.numbers([64, 96], .q8_0), $0.numbers([64, 2]))
            },
            Operation(name: "rms_norm") {
                $0.graph.rmsNorm($0.numbers([64, 3]), weight: $0.numbers([64]), epsilon: 1e-5)
            },
            Operation(name: "rope") {
                $0.graph.rope(
                    $0.numbers([64, 2, 3]), positions: $0.indices([3], below: 50), factors: nil,
                    RopeParameters(pairing: .halves, dimensions: 64, base: 10000))
            },
            Operation(name: "swiglu") { $0.graph.swiglu(gate: $0.numbers([96, 2]), up: $0.numbers([96, 2])) },
            Operation(name: "soft_max") { $0.graph.softmax($0.numbers([96, 2, 2]), scale: 0.5) },
        ]
    }

    private static var caches: [Operation] {
        [
            Operation(name: "get_rows") {
                $0.graph.rows($0.numbers([64, 96, 2], .f16), at: $0.indices([3, 2], below: 96))
            },
            Operation(name: "set_rows of keys") {
                $0.graph.floats(
                    $0.graph.setRows(
                        of: $0.numbers([64, 96, 2], .f16), to: $0.numbers([64, 1, 2]),
                        at: $0.indices([1, 2], below: 96)))
            },
            Operation(name: "set_rows of single numbers") {
                $0.graph.floats(
                    $0.graph.setRows(
                        of: $0.numbers([1, 96, 64, 2], .f16), to: $0.numbers([1, 1, 64, 2]),
                        at: $0.indices([1, 1, 2], below: 96)))
            },
            Operation(name: "mul_mat of keys and queries") {
                $0.graph.matmul($0.numbers([64, 96, 2], .f16), $0.numbers([64, 2, 2]))
            },
            Operation(name: "mul_mat of values and weights") {
                $0.graph.matmul($0.numbers([96, 64, 2], .f16), $0.numbers([96, 2, 2]))
            },
        ]
    }
}
