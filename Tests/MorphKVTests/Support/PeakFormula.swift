import CAttention
import CTestRules
import Ggml

@testable import MorphKV

/// A scoring formula outside of the library: an entry gets a score when it is written, from the layer's input; beside it
/// stands the largest weight it ever received, which decays, and age takes something off.
///
/// This file and one section of C are all that a formula takes.
struct PeakFormula: ScoringFormula {
    let decay: Float
    let aging: Float

    var needs: ScoringNeeds { [.weights, .features] }

    func validate() throws {
        guard (0...1).contains(decay) else { throw CacheError(.invalidPolicy, "a decay of \(decay)") }
    }

    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState {
        PeakState(self, rule.groupReduction, shape, in: arena)
    }

    /// The first channels of the input, one per KV head.
    func features(of input: Tensor, layer: LayerGeometry, in graph: Graph) -> Tensor {
        let first = graph.view(input, [layer.kvHeads, input[1]], strides: [input.strides[1]])
        return graph.reshape(graph.scale(graph.contiguous(first), by: 0.1), [1, layer.kvHeads, input[1]])
    }
}

final class PeakState: ScoringState {
    private let formula: PeakFormula
    private let groupReduction: ScoringRule.GroupReduction
    private let shape: SlotShape
    private let written: Tensor
    private let peaks: Tensor
    private let kernelState: UnsafeMutablePointer<peak_state>

    init(
        _ formula: PeakFormula, _ groupReduction: ScoringRule.GroupReduction, _ shape: SlotShape, in arena: Arena
    ) {
        self.formula = formula
        self.groupReduction = groupReduction
        self.shape = shape
        written = shape.tensor("written", in: arena)
        peaks = shape.tensor("peaks", in: arena)
        kernelState = .allocate(capacity: 1)
    }

    deinit { kernelState.deallocate() }

    var tensors: [(name: String, tensor: Tensor)] { [("written", written), ("peaks", peaks)] }

    func clear() {
        written.fill(byte: 0)
        peaks.fill(byte: 0)
    }

    func describe(in score: inout attention_score) {
        kernelState.initialize(
            to: peak_state(
                decay: formula.decay, aging: formula.aging, written: written.hostFloats, peaks: peaks.hostFloats))
        score.rule = ATTENTION_CUSTOM
        score.custom = attention_custom(table: peak_rule_table(), state: kernelState)
    }

    func attend(_ step: some ScoringStep) -> Tensor {
        let graph = step.graph
        let age = graph.scale(step.positions, by: formula.aging)
        let slot = step.admit(by: graph.add(graph.add(written, peaks), age))
        let weights = step.weights(step.masked(step.products(step.queries, slot), slot))
        let decayed = graph.scale(step.write(step.zeros, to: peaks, at: slot), by: formula.decay)
        graph.schedule(
            graph.copy(graph.maximum(decayed, graph.reduceGroup(weights, by: groupReduction)), to: peaks))
        let features = graph.reshape(step.features!, [shape.kvHeads])
        graph.schedule(step.write(features, to: written, at: slot))
        return step.output(weights, slot)
    }

    // Column 0 is the written score, column 1 the peak.

    func countedQueries(of tokens: Int) -> Int { tokens }

    func tally(_ batch: PromptBatch) -> Tensor {
        let factors = batch.positions.map { power(of: batch.end - 1 - $0) }
        let input = batch.input(.f32, [1, factors.count], name: "factors", factors)
        let weights = batch.perHead(batch.weights, by: groupReduction)
        return batch.graph.reduceRows(batch.graph.multiply(weights, input), by: .max)
    }

    func collect(
        _ values: [Float], of queries: Range<Int>, visible: Int, reader: Int, into table: inout ScoreTable
    ) {
        var peaks = table[1]
        for head in peaks.indices {
            for entry in 0..<visible { peaks[head][entry] = max(peaks[head][entry], values[head * visible + entry]) }
        }
        table[1] = peaks
    }

    func collect(features values: [Float], of entries: Range<Int>, into table: inout ScoreTable) {
        var scores = table[0]
        for (token, entry) in entries.enumerated() {
            for head in scores.indices { scores[head][entry] = values[token * scores.count + head] }
        }
        table[0] = scores
    }

    func addEarlier(_ old: ScoreTable, _ prompt: PromptEntries, to table: inout ScoreTable) {
        var (scores, peaks) = (table[0], table[1])
        let factor = power(of: prompt.tokens.count)
        for head in scores.indices {
            for entry in old.positions[head].indices {
                scores[head][entry] = old[0][head][entry]
                peaks[head][entry] = max(peaks[head][entry], factor * old[1][head][entry])
            }
        }
        (table[0], table[1]) = (scores, peaks)
    }

    private func power(of age: Int) -> Float { (0..<age).reduce(Float(1)) { product, _ in product * formula.decay } }

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        var table = ScoreTable(positions: entries.map { $0.map(\.position) })
        table[0] = shape.gather(written.values(), entries)
        table[1] = shape.gather(peaks.values(), entries)
        return table
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        let (scores, tops) = (table[0], table[1])
        written.write(shape.scatter(kept, otherwise: 0) { scores[$0][$1] })
        peaks.write(shape.scatter(kept, otherwise: 0) { tops[$0][$1] })
    }

    func scores(of head: Int, in table: ScoreTable, isCandidate: [Bool], next: Int) -> [Float] {
        table.positions[head].indices.map {
            table[0][head][$0] + table[1][head][$0] - formula.aging * Float(next - table.positions[head][$0])
        }
    }
}
