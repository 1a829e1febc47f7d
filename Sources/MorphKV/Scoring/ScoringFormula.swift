internal import CAttention
internal import Ggml

/// What a formula looks at besides the positions of entries.
struct ScoringNeeds: OptionSet {
    let rawValue: Int

    /// The attention weights that a token's queries give, or their scores before the softmax. A rule without this can
    /// run on any kernel for attention.
    static let weights = ScoringNeeds(rawValue: 1)
    /// The queries themselves.
    static let queries = ScoringNeeds(rawValue: 2)
    /// Features of each token, made from the layer's normed input when its entry is written.
    static let features = ScoringNeeds(rawValue: 4)
    /// The keys of all entries, at every choice; such a rule drops one entry at a time.
    static let keys = ScoringNeeds(rawValue: 8)
}

/// One way in which successive queries become a score: its parameters.
///
/// A new formula is one Swift file with a value of this kind and its state, and one section of the kernel with a case in
/// its table of rules (`CAttention/rules`).
protocol ScoringFormula: Sendable, Hashable {
    /// What it looks at.
    var needs: ScoringNeeds { get }
    /// How many queries it remembers one by one; 0 for none.
    var rememberedQueries: Int { get }

    /// Bytes of tables that all sequences of a model share.
    var sharedBytes: Int { get }

    /// - Throws: ``CacheError`` of kind `invalidPolicy` when its parameters make no sense.
    func validate() throws

    /// Refuses a model that it was not made for, and loads what it needs on the model's device.
    ///
    /// - Throws: ``CacheError`` of kind `invalidPolicy` for another model, `GgmlError` when memory is short.
    func prepare(for model: Model) throws

    /// What it keeps for a layer of one sequence.
    ///
    /// - Parameter arena: where its tensors are to lie.
    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState

    /// What the features depend on: formulas with equal keys want the same ones. By default the formula with all of its
    /// parameters.
    var featureKey: AnyHashable { get }

    /// The features of tokens, `[width, kvHeads, tokens]`; asked for only if it needs any.
    ///
    /// - Parameter input: what keys and values are computed from, `[embedding, tokens]`.
    func features(of input: Tensor, layer: LayerGeometry, in graph: Graph) -> Tensor
}

extension ScoringFormula {
    var rememberedQueries: Int { 0 }
    var sharedBytes: Int { 0 }
    func prepare(for model: Model) throws {}
    func isEqual(to other: any ScoringFormula) -> Bool { (other as? Self) == self }
    var featureKey: AnyHashable { AnyHashable(self) }
    func features(of input: Tensor, layer: LayerGeometry, in graph: Graph) -> Tensor {
        preconditionFailure("\(Self.self) has no features")
    }
}

/// A formula as far as the features of tokens go: equal ones want the same.
struct FeatureSource: Hashable {
    let formula: any ScoringFormula

    static func == (a: Self, b: Self) -> Bool { a.formula.featureKey == b.formula.featureKey }
    func hash(into hasher: inout Hasher) { hasher.combine(formula.featureKey) }
}

/// What a formula keeps for the slots of one layer of one sequence, and everything that is done with it.
protocol ScoringState: PromptScoring {
    /// Its tensors, by the names under which they are saved.
    var tensors: [(name: String, tensor: Tensor)] { get }

    /// How one of them is saved.
    func layout(ofSaved name: String) -> SavedLayout

    /// Forgets everything.
    func clear()

    // MARK: Between steps

    /// Where the formula stands in a cycle of its own, which the kernel is told and which is saved; 0 without a cycle.
    var phase: Int { get }
    /// Notes that tokens were decoded.
    func advance(by tokens: Int)
    /// Goes on from a phase that was saved.
    ///
    /// - Returns: whether there is such a phase.
    func restore(phase: Int) -> Bool

    /// Brings up to date what depends on keys when some of them were moved; by default nothing does.
    ///
    /// - Parameter positions: the position in each slot, -1 where it is empty, per KV head.
    func keysMoved(_ move: KeyMove, positions: () -> [[Int]]) throws

    // MARK: One step

    /// Describes its tensors to the fused kernel; they lie in the host's memory.
    func describe(in score: inout attention_score)

    /// Its part of a decode graph: chooses a slot, attends, and brings the scores up to date.
    ///
    /// - Returns: the heads' results in order, `[headDim * queryHeads, 1]`.
    func attend(_ step: some ScoringStep) -> Tensor

    // MARK: Blocks that attend to the layer's entries after it, as in Gemma 3n

    /// Describes to the fused kernel what becomes of the weights that such a block gives, for the same token; by default
    /// they do not count.
    ///
    /// - Parameters:
    ///   - reader: its number, from 1.
    ///   - score: as ``describe(in:)`` left it.
    func describe(reader: Int, in score: inout attention_score)

    /// Such a block's part of a decode graph: attends, and adds its weights to the scores; by default these do not count.
    ///
    /// - Returns: the heads' results in order, `[headDim * queryHeads, 1]`.
    func read(_ step: some ScoringStep, reader: Int) -> Tensor

    // MARK: Choices among many entries on the host

    /// The scores of what the slots hold.
    ///
    /// - Parameters:
    ///   - seen: tokens that the sequence has so far.
    ///   - origin: the first position that went to the slots.
    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable

    /// Makes entry `kept[head][i]` of the table the content of slot i.
    ///
    /// - Parameter seen: tokens that the sequence has so far.
    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int)

    /// The score of each of a KV head's entries.
    ///
    /// - Parameters:
    ///   - isCandidate: which entries may be evicted.
    ///   - next: the position that the next token will have.
    func scores(of head: Int, in table: ScoreTable, isCandidate: [Bool], next: Int) -> [Float]
}

extension ScoringState {
    var phase: Int { 0 }
    func layout(ofSaved name: String) -> SavedLayout { .same }
    func advance(by tokens: Int) {}
    func keysMoved(_ move: KeyMove, positions: () -> [[Int]]) throws {}
    func restore(phase: Int) -> Bool { phase == 0 }
    func describe(reader: Int, in score: inout attention_score) { score.rule = ATTENTION_POSITIONAL }
    func read(_ step: some ScoringStep, reader: Int) -> Tensor { step.attention(step.held) }
    func scores(of head: Int, in table: ScoreTable, isCandidate: [Bool], next: Int) -> [Float] { table[0][head] }
}
