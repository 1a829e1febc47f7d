internal import CAttention
internal import Foundation
internal import Ggml

extension ScoringRule.Accumulation {
    /// decay * score + weights, over all queries: 1 sums everything up, 0 is the last query alone.
    public static func cumulative(decay: Float) -> Self { Self(Cumulative(decay: decay)) }
}

/// decay * score + weights: H2O with 1, TOVA with 0.
struct Cumulative: ScoringFormula {
    let decay: Float

    var needs: ScoringNeeds { .weights }

    func validate() throws {
        guard (0...1).contains(decay) else {
            throw CacheError(.invalidPolicy, "a decay of \(decay): 0 to 1 is needed")
        }
    }

    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState {
        CumulativeState(decay: decay, rule.groupReduction, shape, in: arena)
    }
}

/// One score per slot.
final class CumulativeState: ScoringState {
    private let decay: Float
    private let groupReduction: ScoringRule.GroupReduction
    private let shape: SlotShape
    /// `[slots, kvHeads]`
    let scores: Tensor

    init(decay: Float, _ groupReduction: ScoringRule.GroupReduction, _ shape: SlotShape, in arena: Arena) {
        self.decay = decay
        self.groupReduction = groupReduction
        self.shape = shape
        scores = shape.tensor("score", in: arena)
    }

    var tensors: [(name: String, tensor: Tensor)] { [("score", scores)] }

    func clear() { scores.fill(byte: 0) }

    // MARK: One step

    func describe(in score: inout attention_score) {
        score.rule = ATTENTION_CUMULATIVE
        score.cumulative = attention_cumulative(decay: decay, scores: scores.hostFloats)
    }

    func describe(reader: Int, in score: inout attention_score) { score.cumulative.decay = 1 }

    func attend(_ step: some ScoringStep) -> Tensor { attend(step, step.admit(by: scores)) }

    /// Attends, and adds the weights to the scores.
    func attend(_ step: some ScoringStep, _ slot: AdmittedSlot) -> Tensor {
        let graph = step.graph
        let weights = step.weights(step.masked(step.products(step.queries, slot), slot))
        let kept = step.write(step.zeros, to: graph.scale(scores, by: decay), at: slot)
        let now = graph.reduceGroup(weights, by: groupReduction)
        graph.schedule(graph.copy(graph.add(kept, now), to: scores))
        return step.output(weights, slot)
    }

    func read(_ step: some ScoringStep, reader: Int) -> Tensor {
        let (graph, held) = (step.graph, step.held)
        let weights = step.weights(step.masked(step.products(step.queries, held), held))
        let now = graph.reduceGroup(weights, by: groupReduction)
        graph.schedule(graph.copy(graph.add(scores, now), to: scores))
        return step.output(weights, held)
    }

    // MARK: Prompts and choices on the host; column 0 is the score

    /// Queries whose weight has fallen below 1e-9 are below the rounding of the sum.
    func countedQueries(of tokens: Int) -> Int { countedQueries(of: tokens, weighing: 1e-9) }

    /// How many of the last queries weigh at least so much in the sum.
    func countedQueries(of tokens: Int, weighing least: Double) -> Int {
        guard decay < 1 else { return tokens }
        return min(tokens, decay <= 0 ? 1 : 1 + Int(log(least) / log(Double(decay))))
    }

    var talliesReceived: Bool { true }

    func tally(_ batch: PromptBatch) -> Tensor {
        guard decay > 0, decay < 1 else { return batch.received(by: groupReduction) }
        return batch.received(by: groupReduction, factors: batch.positions.map { power(of: batch.end - 1 - $0) })
    }

    func addEarlier(_ old: ScoreTable, _ prompt: PromptEntries, to table: inout ScoreTable) throws {
        table.add(old[0], times: decay == 1 ? 1 : power(of: prompt.tokens.count))
    }

    /// The decay after so many queries.
    private func power(of age: Int) -> Float { (0..<age).reduce(Float(1)) { product, _ in product * decay } }

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        var table = ScoreTable(positions: entries.map { $0.map(\.position) })
        table[0] = shape.gather(scores.values(), entries)
        return table
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        let sums = table[0]
        scores.write(shape.scatter(kept, otherwise: 0) { sums[$0][$1] })
    }
}
