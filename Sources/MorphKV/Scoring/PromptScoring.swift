internal import Ggml

/// How the queries of a prompt become scores of the entries they see, a batch of queries at a time.
protocol PromptScoring: AnyObject {
    /// How many of a prompt's last queries count.
    func countedQueries(of tokens: Int) -> Int

    /// Whether ``tally(_:)`` is what entries received and nothing else, so that the kernel needs no batches of few queries.
    var talliesReceived: Bool { get }

    /// What is wanted of a batch of queries; made from the batch's scores, weights and queries.
    func tally(_ batch: PromptBatch) -> Tensor

    /// Takes the values of ``tally(_:)`` into the table of all entries.
    ///
    /// - Parameters:
    ///   - queries: the positions of the batch's queries.
    ///   - visible: the first entries of the table, which the batch saw.
    ///   - reader: whose queries they are; see ``PromptBatch/reader``.
    func collect(
        _ values: [Float], of queries: Range<Int>, visible: Int, reader: Int, into table: inout ScoreTable)

    /// Takes features of the prompt's tokens into the table, for formulas that need them.
    ///
    /// - Parameters:
    ///   - values: `[token][kvHead][feature]`, flat.
    ///   - entries: where the tokens stand in the table.
    func collect(features values: [Float], of entries: Range<Int>, into table: inout ScoreTable)

    /// Adds what the sequence's earlier queries have to say, under the rule's own terms, to the prompt's own scores.
    ///
    /// - Parameter old: the scores of the entries from before the prompt, which come first in `table`.
    func addEarlier(_ old: ScoreTable, _ prompt: PromptEntries, to table: inout ScoreTable) throws

    /// Takes what the formula reads off the keys of all entries into the table; the last call of a prompt.
    func addKeys(of prompt: PromptEntries, to table: inout ScoreTable) throws
}

extension PromptScoring {
    /// None, as it is for formulas that need no weights.
    func countedQueries(of tokens: Int) -> Int { 0 }
    var talliesReceived: Bool { false }
    func tally(_ batch: PromptBatch) -> Tensor { preconditionFailure("no query counts") }
    func collect(
        _ values: [Float], of queries: Range<Int>, visible: Int, reader: Int, into table: inout ScoreTable
    ) {
        table.add(values, visible: visible)
    }
    func collect(features values: [Float], of entries: Range<Int>, into table: inout ScoreTable) {}
    func addEarlier(_ old: ScoreTable, _ prompt: PromptEntries, to table: inout ScoreTable) throws {}
    func addKeys(of prompt: PromptEntries, to table: inout ScoreTable) throws {}
}

/// A prompt on top of what the cache held before: all keys of a layer, for computing on them once more.
struct PromptEntries {
    let backend: Backend
    let allocator: GraphAllocator
    let geometry: LayerGeometry
    /// What attention scores are multiplied by before the softmax.
    let scale: Float
    /// The positions of the prompt's tokens.
    let tokens: Range<Int>
    /// How many entries' intermediate results may exist at a time.
    let chunk: Int
    /// The keys of all entries, as a view in a given graph: `[headDim, entries, kvHeads]`.
    let keys: (Graph) -> Tensor
}

/// A batch of a prompt's queries while its graph is described.
final class PromptBatch {
    let graph: Graph
    /// `[headDim, queryHeads, queries]`
    let queries: Tensor
    /// The scaled scores before the softmax; entries that a query does not see are not masked yet:
    /// `[visible, queries, queryHeads]`.
    let scores: Tensor
    /// 0 for the layer's own queries; else the number of the block whose they are, among those that attend to the layer's
    /// entries. All that a prompt has to say comes in this order.
    let reader: Int
    /// The positions of the batch's queries.
    let positions: Range<Int>
    /// The position after the prompt's last token.
    let end: Int
    private let geometry: LayerGeometry
    private let sinks: Tensor?
    private let maskShape: [Int]
    private let maskValues: () -> [UInt16]
    private let kernel: Kernel?
    private var writers: [() -> Void] = []

    /// What ``received(by:factors:)`` returns, without the matrix of weights.
    typealias Kernel = (_ reduction: ScoringRule.GroupReduction, _ factors: [Float]) -> Tensor

    /// - Parameters:
    ///   - sinks: a term of each query head's softmax that no entry gets; nil if there is none.
    ///   - maskValues: f16 values of the mask that the queries see through.
    ///   - kernel: nil where there is none.
    init(
        graph: Graph, queries: Tensor, scores: Tensor, sinks: Tensor?, reader: Int, positions: Range<Int>, end: Int,
        geometry: LayerGeometry, maskShape: [Int], maskValues: @escaping () -> [UInt16], kernel: Kernel?
    ) {
        self.graph = graph
        self.queries = queries
        self.scores = scores
        self.sinks = sinks
        self.reader = reader
        self.positions = positions
        self.end = end
        self.geometry = geometry
        self.maskShape = maskShape
        self.maskValues = maskValues
        self.kernel = kernel
    }

    /// The attention weights: `[visible, queries, queryHeads]`.
    private(set) lazy var weights: Tensor = {
        let input = graph.input(.f16, maskShape, name: "mask")
        writers.append { [maskValues] in input.write(maskValues()) }
        return graph.softmax(scores, mask: input, sinks: sinks)
    }()

    /// An input of the graph with its values.
    func input<Value: BitwiseCopyable>(_ type: ElementType, _ shape: [Int], name: String, _ values: [Value]) -> Tensor {
        let tensor = graph.input(type, shape, name: name)
        writers.append { tensor.write(values) }
        return tensor
    }

    /// Bytes that the attention scores of a batch take at most.
    static let largestBytes = 32 << 20

    /// Ranges of queries whose attention scores take at most ``largestBytes`` at a time.
    ///
    /// - Parameter scores: scores per query, all heads together.
    static func ranges(of queries: Range<Int>, scores: Int) -> [Range<Int>] {
        let size = max(1, largestBytes / (scores * MemoryLayout<Float>.stride))
        return stride(from: queries.lowerBound, to: queries.upperBound, by: size).map {
            $0..<min($0 + size, queries.upperBound)
        }
    }

    /// Gives the inputs their values, once the graph has memory.
    func writeInputs() {
        for write in writers { write() }
    }

    /// Reduces the query heads of each group: `[visible, queries, queryHeads]` to `[visible, queries, kvHeads]`.
    func perHead(_ values: Tensor, by reduction: ScoringRule.GroupReduction) -> Tensor {
        let (visible, queries) = (values[0], values[1])
        let grouped = graph.reshape(values, [visible * queries, geometry.groupSize, geometry.kvHeads])
        return graph.reshape(graph.reduceGroup(grouped, by: reduction), [visible, queries, geometry.kvHeads])
    }

    /// The weights of all queries, the group's query heads reduced, summed: `[visible, 1, kvHeads]`.
    func summedWeights(by reduction: ScoringRule.GroupReduction) -> Tensor {
        graph.reduceRows(perHead(weights, by: reduction), by: .sum)
    }

    /// What every entry received: the weights of all queries, each times its factor, the group's query heads reduced:
    /// `[visible, 1, kvHeads]`.
    ///
    /// - Parameter factors: 1 for every query if nil.
    func received(by reduction: ScoringRule.GroupReduction, factors: [Float]? = nil) -> Tensor {
        if let kernel { return kernel(reduction, factors ?? Array(repeating: 1, count: positions.count)) }
        guard let factors else { return summedWeights(by: reduction) }
        let row = input(.f32, [1, factors.count], name: "factors", factors)
        return graph.reduceRows(graph.multiply(perHead(weights, by: reduction), row), by: .sum)
    }
}
