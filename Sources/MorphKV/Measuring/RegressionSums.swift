internal import Ggml

/// The sums over tokens that linear regressions of a layer's targets on its inputs need.
///
/// A token counts for an age if the text has a query that much later, so the tokens of an age are among those of the age
/// before: sums are kept per group of tokens that begin to count at the same age, and every product is taken once. A
/// group's products are taken in 32-bit floats for some tokens at a time and added up in double precision. Inputs are
/// taken less an offset near their mean, which costs no digits.
final class RegressionSums {
    /// Tokens whose products are taken at a time.
    static let batch = 1024
    /// Columns of the matrix of products that are computed at a time; what lies above the diagonal is left out by blocks.
    private static let block = 256

    /// The sums over one group of tokens.
    final class Group {
        fileprivate(set) var count = 0
        /// The sum of the inputs: `[width]`.
        fileprivate(set) var inputs: [Double]
        /// The sums of products of inputs: `[width][width]`, the lower triangle.
        fileprivate(set) var squares: [Double]
        /// Tokens whose products are still to be taken, and their inputs and targets.
        fileprivate var waiting = 0
        fileprivate var waitingInputs: [Float]
        fileprivate var waitingTargets: [Float]

        fileprivate init(width: Int, rows: Int) {
            inputs = Array(repeating: 0, count: width)
            squares = Array(repeating: 0, count: width * width)
            waitingInputs = Array(repeating: 0, count: batch * width)
            waitingTargets = Array(repeating: 0, count: batch * rows)
        }
    }

    let ages: [Int]
    let width: Int
    /// Targets per token: KV heads times ages.
    let rows: Int
    /// The groups, the one that counts for all ages first: group g counts for ages 0 to ages.count - 1 - g.
    let groups: [Group]
    /// What was subtracted from the inputs: `[width]`; set by the first tokens.
    private(set) var offset: [Float] = []
    /// The sums of products of targets and inputs: `[row][width]`. A target is 0 where a token does not count.
    private(set) var products: [Double]
    /// The sums of the targets and of their squares: `[row]`.
    private(set) var targets: [Double]
    private(set) var targetSquares: [Double]
    private let backend: Backend
    private let allocator: GraphAllocator

    init(ages: [Int], width: Int, kvHeads: Int, on backend: Backend) throws {
        self.ages = ages
        self.width = width
        let rows = kvHeads * ages.count
        self.rows = rows
        groups = ages.map { _ in Group(width: width, rows: rows) }
        products = Array(repeating: 0, count: rows * width)
        targets = Array(repeating: 0, count: rows)
        targetSquares = Array(repeating: 0, count: rows)
        self.backend = backend
        allocator = try GraphAllocator(on: backend)
    }

    /// Bytes that sums of this size take, what computes them included.
    static func bytes(ages: Int, width: Int, kvHeads: Int) -> Int {
        let rows = kvHeads * ages
        let sums = ages * width * width + rows * width
        // What waits in the groups; a batch three times while its products are taken; a block of products twice.
        let floats = (ages + 2) * batch * (width + rows) + width * (width + 3 * block + rows)
        return sums * MemoryLayout<Double>.stride + floats * MemoryLayout<Float>.stride
    }

    /// Takes successive tokens of a text.
    ///
    /// - Parameters:
    ///   - inputs: `[token][width]`, flat.
    ///   - targets: `[token][row]`, flat.
    ///   - left: the tokens of the text after the first of these.
    func add(inputs: [Float], targets: [Float], left: Int) throws {
        let tokens = inputs.count / width
        if offset.isEmpty { offset = mean(of: inputs) }
        for token in 0..<tokens {
            let counting = ages.partitioningIndex { $0 > left - token }
            guard counting > 0 else { continue }
            let group = groups[ages.count - counting]
            inputs.withUnsafeBufferPointer { group.append($0.baseAddress! + token * width, less: offset) }
            for row in 0..<rows {
                let value = targets[token * rows + row]
                group.waitingTargets[group.waiting * rows + row] = value
                self.targets[row] += Double(value)
                targetSquares[row] += Double(value) * Double(value)
            }
            group.waiting += 1
            if group.waiting == Self.batch { try flush(group) }
        }
    }

    /// Takes what waits in the groups; to be called after the last token.
    func finish() throws {
        for group in groups where group.waiting > 0 { try flush(group) }
    }

    private func mean(of inputs: [Float]) -> [Float] {
        var sums = [Double](repeating: 0, count: width)
        let tokens = inputs.count / width
        for token in 0..<tokens {
            for column in 0..<width { sums[column] += Double(inputs[token * width + column]) }
        }
        return sums.map { Float($0 / Double(tokens)) }
    }

    /// Adds the products of a batch of tokens.
    private func flush(_ group: Group) throws {
        let tokens = group.fillUp()
        let blocks = stride(from: 0, to: width, by: Self.block).map { $0..<min($0 + Self.block, width) }
        let graph = try Graph(on: backend, capacity: 16 + 4 * blocks.count, allocator: allocator)
        let input = graph.input(.f32, [width, tokens], name: "inputs")
        let target = graph.input(.f32, [rows, tokens], name: "targets")
        let byColumn = graph.contiguous(graph.permute(input, [1, 0, 2, 3]))
        func part(_ range: Range<Int>) -> Tensor {
            graph.view(
                byColumn, [tokens, range.count], strides: [byColumn.strides[1]],
                offset: range.lowerBound * byColumn.strides[1])
        }
        // Products of the inputs up to a block's end with those of the block: [block][end].
        let squares = blocks.map { graph.matmul(part(0..<$0.upperBound), part($0)) }
        let crossed = graph.matmul(byColumn, graph.contiguous(graph.permute(target, [1, 0, 2, 3])))
        for tensor in squares + [crossed] { graph.output(tensor) }
        try graph.allocate()
        input.write(group.waitingInputs, first: tokens * width)
        target.write(group.waitingTargets, first: tokens * rows)
        try graph.compute()
        for (columns, tensor) in zip(blocks, squares) { group.add(tensor.values(), columns: columns, width: width) }
        let sums: [Float] = crossed.values()
        for index in products.indices { products[index] += Double(sums[index]) }
        group.waiting = 0
    }
}

extension RegressionSums.Group {
    fileprivate func append(_ input: UnsafePointer<Float>, less offset: [Float]) {
        count += 1
        let width = offset.count
        inputs.withUnsafeMutableBufferPointer { sums in
            waitingInputs.withUnsafeMutableBufferPointer { waitingInputs in
                let target = waitingInputs.baseAddress! + waiting * width
                for column in 0..<width {
                    target[column] = input[column] - offset[column]
                    sums[column] += Double(target[column])
                }
            }
        }
    }

    /// Adds tokens of zeros, which change no sum, to those that wait: products of whole vectors are much faster.
    ///
    /// - Returns: how many wait then.
    fileprivate func fillUp() -> Int {
        let (tokens, multiple) = (waiting, 16)
        let filled = (tokens + multiple - 1) / multiple * multiple
        let (width, rows) = (
            waitingInputs.count / RegressionSums.batch, waitingTargets.count / RegressionSums.batch
        )
        for index in tokens * width..<filled * width { waitingInputs[index] = 0 }
        for index in tokens * rows..<filled * rows { waitingTargets[index] = 0 }
        return filled
    }

    /// Adds products `[column][0..<columns.upperBound]`.
    fileprivate func add(_ sums: [Float], columns: Range<Int>, width: Int) {
        let end = columns.upperBound
        squares.withUnsafeMutableBufferPointer { squares in
            sums.withUnsafeBufferPointer { sums in
                for column in columns {
                    let (source, target) = ((column - columns.lowerBound) * end, column * width)
                    for other in 0...column { squares[target + other] += Double(sums[source + other]) }
                }
            }
        }
    }

    /// Adds another group's sums of inputs.
    func add(_ other: RegressionSums.Group) {
        count += other.count
        for index in inputs.indices { inputs[index] += other.inputs[index] }
        squares.withUnsafeMutableBufferPointer { squares in
            other.squares.withUnsafeBufferPointer { other in
                for index in squares.indices { squares[index] += other[index] }
            }
        }
    }
}

extension Tensor {
    /// Copies the first of some values from the host.
    fileprivate func write(_ values: [Float], first count: Int) {
        values.withUnsafeBufferPointer {
            write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[..<(4 * count)]))
        }
    }
}
