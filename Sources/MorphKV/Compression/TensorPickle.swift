/// The pickle that describes one tensor in a file of PyTorch, read without running it.
enum TensorPickle {
    /// How a number is stored.
    enum Element: String {
        case half = "HalfStorage"
        case brain = "BFloat16Storage"
        case float = "FloatStorage"
        case double = "DoubleStorage"
    }

    /// What it says.
    struct Description {
        let element: Element
        /// Which file of the archive has the numbers.
        let key: String
        let offset: Int
        let shape: [Int]
        let strides: [Int]
    }

    /// What may stand on the stack of the program.
    private indirect enum Value {
        case mark
        case name(String)
        case text(String)
        case number(Int)
        case flag
        case tuple([Value])
        case storage(Element, key: String)
        case tensor(Description)
        case hooks
    }

    private static let rebuild = "torch._utils _rebuild_tensor_v2"
    private static let hooks = "collections OrderedDict"

    /// - Throws: ``HeadScoreProblem`` for everything that is not the description of one tensor.
    static func read(_ program: [UInt8]) throws -> Description {
        var machine = Machine(program: program)
        return try machine.run()
    }

    /// The description of a tensor of 32-bit floats whose last dimension comes first.
    static func written(_ shape: [Int]) -> [UInt8] {
        func name(_ text: String) -> [UInt8] { Array("c\(text.replacing(" ", with: "\n"))\n".utf8) }
        func text(_ text: String) -> [UInt8] {
            Array([[0x58], StoredZip.bytes([UInt32(text.utf8.count)]), Array(text.utf8)].joined())
        }
        func number(_ value: Int) -> [UInt8] { [0x4A] + StoredZip.bytes([Int32(value)]) }
        let count = shape.reduce(1, *)
        let strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
        let storage: [[UInt8]] = [
            [0x28], text("storage"), name("torch \(Element.float.rawValue)"), text("0"), text("cpu"), number(count),
            [0x74, 0x51],
        ]
        let sizes: [[UInt8]] = [[0x28], shape.flatMap(number), [0x74, 0x28], strides.flatMap(number), [0x74]]
        let program: [[UInt8]] =
            [[0x80, 2], name(rebuild), [0x28]] + storage + [number(0)] + sizes
            + [[0x89], name(hooks), [0x29, 0x52, 0x74, 0x52, 0x2E]]
        return Array(program.joined())
    }

    /// The few instructions that are known.
    private struct Machine {
        let program: [UInt8]
        var place = 0
        var stack: [Value] = []
        var memo: [Int: Value] = [:]

        init(program: [UInt8]) { self.program = program }

        mutating func run() throws -> Description {
            guard try bytes(2) == [0x80, 2] else { throw HeadScoreProblem("its description is of an unknown kind") }
            while true {
                let instruction = try integer(1)
                if instruction == 0x2E { break }
                try perform(instruction)
            }
            guard stack.count == 1, case .tensor(let tensor) = stack[0] else {
                throw HeadScoreProblem("it holds something else than one tensor")
            }
            return tensor
        }

        private mutating func perform(_ instruction: Int) throws {
            switch instruction {
            case 0x28: stack.append(.mark)
            case 0x29: stack.append(.tuple([]))
            case 0x4A: stack.append(.number(Int(Int32(truncatingIfNeeded: try integer(4)))))
            case 0x4B: stack.append(.number(try integer(1)))
            case 0x4D: stack.append(.number(try integer(2)))
            case 0x51:
                let value = try pop()
                stack.append(try storage(value))
            case 0x52: try reduce()
            case 0x58: stack.append(.text(String(decoding: try bytes(try integer(4)), as: UTF8.self)))
            case 0x63: stack.append(.name(try line() + " " + line()))
            case 0x68, 0x6A:
                let index = try integer(instruction == 0x68 ? 1 : 4)
                stack.append(try remembered(index))
            case 0x71, 0x72:
                let index = try integer(instruction == 0x71 ? 1 : 4)
                memo[index] = try top()
            case 0x74: try closeTuple()
            case 0x85, 0x86, 0x87:
                let parts = try (0..<instruction - 0x84).map { _ in try pop() }
                stack.append(.tuple(parts.reversed()))
            case 0x88, 0x89: stack.append(.flag)
            default:
                throw HeadScoreProblem("its description has the instruction \(instruction), which no tensor needs")
            }
        }

        // MARK: What instructions do

        private mutating func closeTuple() throws {
            var parts: [Value] = []
            while true {
                let value = try pop()
                if case .mark = value { break }
                parts.append(value)
            }
            stack.append(.tuple(parts.reversed()))
        }

        /// What a file of the archive is, by name.
        private func storage(_ value: Value) throws -> Value {
            guard case .tuple(let parts) = value, parts.count == 5, case .text("storage") = parts[0],
                case .name(let type) = parts[1], case .text(let key) = parts[2], type.hasPrefix("torch "),
                let element = Element(rawValue: String(type.dropFirst(6)))
            else { throw HeadScoreProblem("its numbers are of an unknown kind") }
            return .storage(element, key: key)
        }

        /// The two calls that may stand there, neither of which is made.
        private mutating func reduce() throws {
            guard case .tuple(let arguments) = try pop(), case .name(let name) = try pop() else {
                throw HeadScoreProblem("its description is damaged")
            }
            if name == hooks, arguments.isEmpty { return stack.append(.hooks) }
            guard name == rebuild, arguments.count == 6, case .storage(let element, let key) = arguments[0],
                case .number(let offset) = arguments[1], case .flag = arguments[4], case .hooks = arguments[5]
            else { throw HeadScoreProblem("its description calls '\(name)', which no tensor needs") }
            stack.append(
                .tensor(
                    Description(
                        element: element, key: key, offset: offset, shape: try numbers(arguments[2]),
                        strides: try numbers(arguments[3]))))
        }

        private func numbers(_ value: Value) throws -> [Int] {
            guard case .tuple(let parts) = value else { throw HeadScoreProblem("its description is damaged") }
            return try parts.map { part in
                guard case .number(let number) = part else { throw HeadScoreProblem("its description is damaged") }
                return number
            }
        }

        // MARK: Reading the program

        private mutating func pop() throws -> Value {
            guard let value = stack.popLast() else { throw HeadScoreProblem("its description is damaged") }
            return value
        }

        private func top() throws -> Value {
            guard let value = stack.last else { throw HeadScoreProblem("its description is damaged") }
            return value
        }

        private func remembered(_ index: Int) throws -> Value {
            guard let value = memo[index] else { throw HeadScoreProblem("its description is damaged") }
            return value
        }

        private mutating func bytes(_ count: Int) throws -> ArraySlice<UInt8> {
            guard count >= 0, count <= program.count - place else {
                throw HeadScoreProblem("its description is cut off")
            }
            defer { place += count }
            return program[place..<place + count]
        }

        private mutating func integer(_ size: Int) throws -> Int {
            var number = 0
            for byte in try bytes(size).reversed() { number = number << 8 | Int(byte) }
            return number
        }

        private mutating func line() throws -> String {
            guard let end = program[place...].firstIndex(of: 0x0A) else {
                throw HeadScoreProblem("its description is cut off")
            }
            defer { place = end + 1 }
            return String(decoding: program[place..<end], as: UTF8.self)
        }
    }
}
