internal import CAttention
internal import Ggml

extension ScoringRule.Accumulation {
    /// How much an entry was expected to be needed at its age when it was written, plus `lambda` times a decaying sum of
    /// the weights that it received since.
    ///
    /// Our own; docs/augur.md has the formulas.
    static func foresight(_ calibration: Calibration, lambda: Float, decay: Float = 0.95) -> Self {
        Self(Foresight(calibration: calibration, lambda: lambda, decay: decay))
    }
}

/// A score that is fixed for every age when an entry is written, by a linear map that was learned about the model.
///
/// With a `lambda` of 0 no attention weights are needed.
struct Foresight: ScoringFormula {
    /// Equal calibrations are those that say the same.
    let calibration: Calibration
    let lambda: Float
    let decay: Float

    var needs: ScoringNeeds { lambda > 0 ? [.weights, .features] : [.features] }

    var sharedBytes: Int { calibration.bytes }

    func validate() throws {
        guard lambda >= 0, lambda.isFinite, (0...1).contains(decay) else {
            throw CacheError(.invalidPolicy, "a lambda of \(lambda) and a decay of \(decay): 0 or more, and 0 to 1")
        }
    }

    func prepare(for model: Model) throws { try calibration.load(on: model.placement) }

    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState {
        ForesightState(self, rule.groupReduction, shape, in: arena)
    }

    var featureKey: AnyHashable { AnyHashable(calibration) }

    /// The scores' codes for all ages: whole numbers c from -127 to 127 that mean sign(c) * (c / 127)^2, so that small
    /// scores are told apart too.
    func features(of input: Tensor, layer: LayerGeometry, in graph: Graph) -> Tensor {
        let scores = calibration.scores(of: input, layer: layer.layer, kvHeads: layer.kvHeads, in: graph)
        let root = graph.squareRoot(graph.clamp(graph.abs(scores), to: 0...1))
        let codes = graph.round(graph.scale(root, by: Float(ATTENTION_LARGEST_CODE)))
        let shape = [calibration.ages.count, layer.kvHeads, input[1]]
        return graph.reshape(graph.multiply(codes, graph.sign(scores)), shape)
    }
}

/// A byte per slot and age, and a number for what was received if that counts.
final class ForesightState: ScoringState {
    private let formula: Foresight
    private let shape: SlotShape
    /// `[slots, kvHeads, ages]` for the fused kernel; for graphs `[ages, slots, kvHeads]`, in a type that they can write.
    private let codes: Tensor
    /// What entries received; nil if it does not count.
    private let received: CumulativeState?

    init(
        _ formula: Foresight, _ groupReduction: ScoringRule.GroupReduction, _ shape: SlotShape, in arena: Arena
    ) {
        self.formula = formula
        self.shape = shape
        let ages = formula.calibration.ages.count
        codes =
            shape.isFused
            ? arena.tensor(.i8, [shape.slots, shape.kvHeads, ages], name: "codes")
            : arena.tensor(.f16, [ages, shape.slots, shape.kvHeads], name: "codes")
        received =
            formula.lambda > 0 ? CumulativeState(decay: formula.decay, groupReduction, shape, in: arena) : nil
    }

    private var ages: [Int] { formula.calibration.ages }

    var tensors: [(name: String, tensor: Tensor)] { [("codes", codes)] + (received?.tensors ?? []) }

    func layout(ofSaved name: String) -> SavedLayout { name == "codes" && !shape.isFused ? .codes : .same }

    func clear() {
        codes.fill(byte: 0)
        received?.clear()
    }

    // MARK: One step

    func describe(in score: inout attention_score) {
        score.rule = ATTENTION_FORESIGHT
        score.foresight = attention_foresight()
        score.foresight.age_count = Int32(ages.count)
        withUnsafeMutableBytes(of: &score.foresight.ages) { memory in
            ages.map(Int32.init).withUnsafeBytes { memory.copyMemory(from: $0) }
        }
        score.foresight.lambda = formula.lambda
        score.foresight.decay = formula.decay
        score.foresight.codes = codes.hostAddress.assumingMemoryBound(to: Int8.self)
        score.foresight.received = received?.scores.hostFloats
    }

    func describe(reader: Int, in score: inout attention_score) { score.foresight.decay = 1 }

    func read(_ step: some ScoringStep, reader: Int) -> Tensor {
        received?.read(step, reader: reader) ?? step.attention(step.held)
    }

    func attend(_ step: some ScoringStep) -> Tensor {
        let graph = step.graph
        let slot = step.admit(by: scores(step))
        let output = received.map { $0.attend(step, slot) } ?? step.attention(slot)
        graph.schedule(step.write(graph.reshape(step.features!, [ages.count, shape.kvHeads]), to: codes, at: slot))
        return output
    }

    /// Each slot's score: `[slots, kvHeads]`.
    private func scores(_ step: some ScoringStep) -> Tensor {
        let graph = step.graph
        let all = graph.cast(codes, to: .f32)
        func plane(_ index: Int) -> Tensor {
            let strides = Array(all.strides[1...2])
            let view = graph.view(all, [1, shape.slots, shape.kvHeads], strides: strides, offset: index * 4)
            return graph.reshape(graph.contiguous(view), [shape.slots, shape.kvHeads])
        }
        let ageOf = graph.scale(graph.subtract(step.positions, step.scalar("position") { Float($0.position) }), by: -1)
        var code = plane(0)
        for (index, age) in ages.enumerated().dropFirst() {
            let isOlder = graph.step(graph.scale(ageOf, by: 1, plus: 0.5 - Float(age)))
            code = graph.add(code, graph.multiply(isOlder, graph.subtract(plane(index), code)))
        }
        let score = graph.scale(graph.multiply(code, graph.abs(code)), by: Self.unit)
        guard let received else { return score }
        return graph.add(score, graph.scale(received.scores, by: formula.lambda))
    }

    /// The score of code 1.
    private static let unit = 1 / Float(ATTENTION_LARGEST_CODE * ATTENTION_LARGEST_CODE)

    // MARK: Prompts and choices on the host; column 0 is what was received, the others are the codes

    /// The queries before weigh 1e-5 / (1 - decay) together, and lambda of that in a score: less than between two codes.
    func countedQueries(of tokens: Int) -> Int { received?.countedQueries(of: tokens, weighing: 1e-5) ?? 0 }
    var talliesReceived: Bool { true }
    func tally(_ batch: PromptBatch) -> Tensor { received!.tally(batch) }

    func collect(features values: [Float], of entries: Range<Int>, into table: inout ScoreTable) {
        for index in ages.indices {
            var column = table[index + 1]
            for (token, entry) in entries.enumerated() {
                for head in column.indices {
                    column[head][entry] = values[(token * column.count + head) * ages.count + index]
                }
            }
            table[index + 1] = column
        }
    }

    func addEarlier(_ old: ScoreTable, _ prompt: PromptEntries, to table: inout ScoreTable) throws {
        try received?.addEarlier(old, prompt, to: &table)
        for index in ages.indices { table.add(old[index + 1], to: index + 1) }
    }

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        var table =
            received?.table(entries, seen: seen, origin: origin)
            ?? ScoreTable(positions: entries.map { $0.map(\.position) })
        let all = codeValues
        for index in ages.indices {
            table[index + 1] = entries.enumerated().map { head, held in
                held.map { Float(all[offset(index, head, $0.slot)]) }
            }
        }
        return table
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        received?.store(kept, of: table, seen: seen)
        var all = [Float](repeating: 0, count: codes.count)
        for index in ages.indices {
            let column = table[index + 1]
            for (head, entries) in kept.enumerated() {
                for (slot, entry) in entries.enumerated() { all[offset(index, head, slot)] = column[head][entry] }
            }
        }
        if shape.isFused { codes.write(all.map { Int8($0) }) } else { codes.write(ElementType.f16.encoded(all)) }
    }

    func scores(of head: Int, in table: ScoreTable, isCandidate: [Bool], next: Int) -> [Float] {
        let planes = ages.indices.map { table[$0 + 1][head] }
        let received = received == nil ? nil : table[0][head]
        return table.positions[head].enumerated().map { entry, position in
            let code = planes[ages.lastIndex { $0 <= next - position } ?? 0][entry]
            return code * abs(code) * Self.unit + (received.map { formula.lambda * $0[entry] } ?? 0)
        }
    }

    /// The codes as they lie in memory.
    private var codeValues: [Float] {
        shape.isFused ? codes.values(as: Int8.self).map(Float.init) : codes.floats()
    }

    private func offset(_ age: Int, _ head: Int, _ slot: Int) -> Int {
        shape.isFused
            ? (age * shape.kvHeads + head) * shape.slots + slot : (head * shape.slots + slot) * ages.count + age
    }
}
