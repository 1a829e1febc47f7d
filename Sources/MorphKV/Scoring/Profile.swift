internal import CAttention
internal import Foundation
internal import Ggml

extension ScoringRule.Accumulation {
    /// What the last `queries` queries gave is kept one by one, and fused at every choice.
    public static func profile(
        queries: Int, fusion: ScoringRule.Fusion, normalization: ScoringRule.Normalization
    ) -> Self {
        Self(Profile(queries: queries, fusion: fusion, normalization: normalization))
    }
}

/// What the last queries gave, one by one: MorphKV with max fusion or normalisation over candidates.
struct Profile: ScoringFormula {
    let queries: Int
    let fusion: ScoringRule.Fusion
    let normalization: ScoringRule.Normalization

    var needs: ScoringNeeds { .weights }
    var rememberedQueries: Int { queries }

    func validate() throws { try ScoringRule.checkWindow(of: queries) }

    func makeState(_ rule: ScoringRule, _ shape: SlotShape, in arena: Arena) -> any ScoringState {
        ProfileState(self, rule.groupReduction, shape, in: arena)
    }
}

/// A row of numbers per query of the window.
final class ProfileState: ScoringState {
    /// At row position mod W, what each query gave: `[slots * rowsPerHead * kvHeads, W]`, of each sequence.
    ///
    /// That is the weight that it really gave (normalization full) or its score before the softmax (candidates), for
    /// every query head (candidates with group max) or reduced over the group.
    private let rows: Tensor
    private let formula: Profile
    private let groupReduction: ScoringRule.GroupReduction
    private let shape: SlotShape
    /// Rows per KV head and query: where each query head's scores are normalised by themselves one for each, those of blocks
    /// that attend to the layer's entries behind its own; else 1.
    private let rowsPerHead: Int
    /// What a slot gets from queries that have not seen its entry.
    private let unseen: Float

    private var queryCount: Int { formula.queries }
    private var isOverCandidates: Bool { formula.normalization == .candidates }

    init(_ formula: Profile, _ groupReduction: ScoringRule.GroupReduction, _ shape: SlotShape, in arena: Arena) {
        self.formula = formula
        self.groupReduction = groupReduction
        self.shape = shape
        let isOverCandidates = formula.normalization == .candidates
        rowsPerHead =
            isOverCandidates && groupReduction == .max ? shape.geometry.groupSize * (1 + shape.geometry.readers) : 1
        unseen = isOverCandidates ? maskedScore : 0
        rows = arena.tensor(
            .f32, [shape.slots * rowsPerHead * shape.ownHeads, formula.queries, shape.sequences], name: "votes")
    }

    /// "votes" is what files have called it since their first version.
    var tensors: [(name: String, tensor: Tensor)] { [("votes", rows)] }

    func clear() { rows.write([Float](repeating: unseen, count: rows.count)) }

    // MARK: One step

    func describe(in score: inout attention_score) {
        score.rule = ATTENTION_PROFILE
        score.profile = attention_profile(
            query_count: Int32(queryCount), scores: rows.hostFloats, rows_per_head: Int32(rowsPerHead),
            fusion: formula.fusion == .max ? ATTENTION_MAX : ATTENTION_SUM, candidates_only: isOverCandidates)
    }

    /// As the layer itself: where its part of a row is, the kernel knows by its number.
    func describe(reader: Int, in score: inout attention_score) {}

    func attend(_ step: some ScoringStep) -> Tensor {
        let graph = step.graph
        let slot = step.admit(by: fused(step))
        let products = step.products(step.queries, slot)
        let weights = step.weights(step.masked(products, slot))
        forget(slot, step)
        let given = given(products, weights, in: graph)
        let row = step.ringRow(of: queryCount)
        let all = rowsOfBlock < rowsPerHead ? replaced(given, 0, of: graph.rows(rows, at: row), in: graph) : given
        graph.schedule(graph.setRows(of: rows, to: graph.reshape(all, rowShape), at: row))
        return step.output(weights, slot)
    }

    func read(_ step: some ScoringStep, reader: Int) -> Tensor {
        let (graph, held, row) = (step.graph, step.held, step.ringRow(of: queryCount))
        let products = step.products(step.queries, held)
        let weights = step.weights(step.masked(products, held))
        let (given, before) = (given(products, weights, in: graph), graph.rows(rows, at: row))
        let all =
            rowsOfBlock < rowsPerHead
            ? replaced(given, reader, of: before, in: graph) : graph.add(before, graph.reshape(given, rowShape))
        graph.schedule(graph.setRows(of: rows, to: graph.reshape(all, rowShape), at: row))
        return step.output(weights, held)
    }

    /// What a query gives each slot: `[slots, rows of a block, kvHeads]`.
    private func given(_ products: Tensor, _ weights: Tensor, in graph: Graph) -> Tensor {
        switch (formula.normalization, groupReduction) {
        case (.full, let reduction): graph.reduceGroup(weights, by: reduction)
        case (.candidates, .sum): graph.reduceGroup(products, by: .sum)
        case (.candidates, .max): products
        }
    }

    /// A row of the ring with a block's part in place of what it was.
    private func replaced(_ given: Tensor, _ block: Int, of row: Tensor, in graph: Graph) -> Tensor {
        let all = graph.reshape(row, [shape.slots, rowsPerHead, shape.kvHeads])
        func part(_ range: Range<Int>) -> Tensor {
            graph.contiguous(
                graph.view(
                    all, [shape.slots, range.count, shape.kvHeads], strides: Array(all.strides[1...2]),
                    offset: range.lowerBound * all.strides[1]))
        }
        var parts = [given]
        if block > 0 { parts.insert(part(0..<block * rowsOfBlock), at: 0) }
        let end = (block + 1) * rowsOfBlock
        if end < rowsPerHead { parts.append(part(end..<rowsPerHead)) }
        return parts.dropFirst().reduce(parts[0]) { graph.concat($0, $1, along: 1) }
    }

    /// One query's rows in each sequence's ring.
    private var rowShape: [Int] { [rows[0], 1, shape.sequences] }

    /// Rows per KV head and query that one block with attention fills.
    private var rowsOfBlock: Int { isOverCandidates && groupReduction == .max ? shape.geometry.groupSize : 1 }

    /// The score of each slot: `[slots, kvHeads]`.
    private func fused(_ step: some ScoringStep) -> Tensor {
        let (graph, slots, heads, sequences) = (step.graph, shape.slots, shape.ownHeads, shape.sequences)
        var all = rows
        if isOverCandidates {
            let perQuery = [slots, rowsPerHead * heads, queryCount, sequences]
            let excluded = graph.reshape(byRow(step.excluded, in: graph), [slots, rowsPerHead * heads, 1, sequences])
            all = graph.softmax(graph.add(graph.reshape(rows, perQuery), excluded))
            if rowsPerHead > 1 {
                all = graph.reduceRows(
                    graph.reshape(all, [slots, rowsPerHead, heads * queryCount * sequences]), by: .max)
            }
            // A row that no query has filled yet would count every slot alike.
            let isQuery = step.inputs.tensor(
                "isQuery", .f32, [1, queryCount, sequences], layer: shape.geometry.layer
            ) { [queryCount] sequence in
                // The last query of each row, unless it is one from before the sequence's own.
                let last = sequence.position - 1
                return (0..<queryCount).map { row in
                    last - ((last - row) % queryCount + queryCount) % queryCount >= sequence.origin ? 1 : Float(0)
                }
            }
            all = graph.multiply(graph.reshape(all, [slots * heads, queryCount, sequences]), isQuery)
        }
        let byQuery = graph.reshape(all, [slots * heads, queryCount, sequences])
        let fused = graph.reduceRows(byQuery, by: formula.fusion == .sum ? .sum : .max)
        return graph.reshape(fused.isContiguous ? fused : graph.contiguous(fused), [slots, shape.kvHeads])
    }

    /// `[slots, kvHeads]` for each row of a head: `[slots, rowsPerHead, kvHeads]`.
    private func byRow(_ values: Tensor, in graph: Graph) -> Tensor {
        let single = graph.reshape(values, [shape.slots, 1, shape.kvHeads])
        return rowsPerHead == 1 ? single : graph.repeated(single, to: [shape.slots, rowsPerHead, shape.kvHeads])
    }

    /// What earlier queries gave the entry that was evicted does not count for the one that takes its slot.
    private func forget(_ slot: AdmittedSlot, _ step: some ScoringStep) {
        let (graph, sequences, count) = (step.graph, shape.sequences, slot.index!.count / shape.sequences)
        let rowCount = rowsPerHead * shape.ownHeads * queryCount
        let all = graph.reshape(rows, [1, shape.slots, rowCount, sequences])
        // One index for all rows, or one for each row of a query, again for every query.
        var index = graph.reshape(slot.index!, [1, count, sequences])
        if rowsPerHead > 1, count > 1 {
            index = graph.reshape(
                graph.repeated(graph.reshape(index, [1, count * sequences]), to: [rowsPerHead, count * sequences]),
                [1, rowsPerHead * count, sequences])
        }
        let values = [Float](repeating: unseen, count: rowCount)
        let forgotten = step.inputs.tensor(
            "unseen", .f32, [1, 1, rowCount, sequences], layer: shape.geometry.layer
        ) { _ in values }
        graph.schedule(graph.setRows(of: all, to: forgotten, at: index))
    }

    // MARK: Prompts and choices on the host; column q * rowsPerHead + r is row r of the query at position q

    func countedQueries(of tokens: Int) -> Int { min(tokens, queryCount) }

    func tally(_ batch: PromptBatch) -> Tensor {
        guard isOverCandidates else { return batch.perHead(batch.weights, by: groupReduction) }
        return groupReduction == .sum ? batch.perHead(batch.scores, by: .sum) : batch.scores
    }

    func collect(
        _ values: [Float], of queries: Range<Int>, visible: Int, reader: Int, into table: inout ScoreTable
    ) {
        let rowCount = rowsOfBlock
        let isAdded = reader > 0 && rowCount == rowsPerHead
        for (index, query) in queries.enumerated() {
            for row in 0..<rowCount {
                let column = query * rowsPerHead + row + (isAdded ? 0 : reader * rowCount)
                let before = isAdded ? table[column] : []
                table[column] = table.positions.enumerated().map { head, entries in
                    let seen = entries.partitioningIndex { $0 > query }
                    let start = ((head * rowCount + row) * queries.count + index) * visible
                    var given = Array(values[start..<start + seen])
                    if isAdded { for entry in given.indices { given[entry] += before[head][entry] } }
                    return given + repeatElement(unseen, count: entries.count - seen)
                }
            }
        }
    }

    func addEarlier(_ old: ScoreTable, _ prompt: PromptEntries, to table: inout ScoreTable) throws {
        // None of the earlier queries is in the window any more after a prompt as long as the window.
        let before = prompt.tokens.lowerBound
        let first = min(before, max(0, prompt.tokens.upperBound - queryCount))
        for column in old.filled where (first..<before).contains(column / rowsPerHead) {
            table[column] = old[column].map { $0 + repeatElement(unseen, count: prompt.tokens.count) }
        }
    }

    func table(_ entries: SlotEntries, seen: Int, origin: Int) -> ScoreTable {
        var table = ScoreTable(positions: entries.map { $0.map(\.position) })
        let all: [Float] = rows.values()
        for query in max(origin, seen - queryCount)..<seen {
            for row in 0..<rowsPerHead {
                table[query * rowsPerHead + row] = entries.enumerated().map { head, held in
                    let start = query % queryCount * rows[0] + (head * rowsPerHead + row) * shape.slots
                    return held.map { all[start + $0.slot] }
                }
            }
        }
        return table
    }

    func store(_ kept: [[Int]], of table: ScoreTable, seen: Int) {
        let filled = Set(table.filled)
        for query in max(0, seen - queryCount)..<seen where filled.contains(query * rowsPerHead) {
            var values = [Float](repeating: unseen, count: rows[0])
            for row in 0..<rowsPerHead {
                let column = table[query * rowsPerHead + row]
                for (head, indices) in kept.enumerated() {
                    let start = (head * rowsPerHead + row) * shape.slots
                    for (slot, entry) in indices.enumerated() { values[start + slot] = column[head][entry] }
                }
            }
            rows.write(values, at: query % queryCount * values.count)
        }
    }

    func scores(of head: Int, in table: ScoreTable, isCandidate: [Bool], next: Int) -> [Float] {
        var fused = [Float](repeating: 0, count: isCandidate.count)
        // In the order of the queries, so that rounding does not depend on how the table is laid out.
        let columns = table.filled
        for first in stride(from: 0, to: columns.count, by: rowsPerHead) {
            let rows = columns[first..<first + rowsPerHead].map { table[$0][head] }
            for (entry, given) in combined(rows, isCandidate).enumerated() {
                fused[entry] = formula.fusion == .sum ? fused[entry] + given : max(fused[entry], given)
            }
        }
        return fused
    }

    /// What one query gives each entry, its rows combined.
    private func combined(_ rows: [[Float]], _ isCandidate: [Bool]) -> [Float] {
        guard isOverCandidates else { return rows[0] }
        let shares = rows.map { Self.softmax($0, over: isCandidate) }
        return shares.dropFirst().reduce(shares[0]) { zip($0, $1).map(max) }
    }

    private static func softmax(_ values: [Float], over isCandidate: [Bool]) -> [Float] {
        let highest = zip(values, isCandidate).lazy.filter(\.1).map(\.0).max() ?? 0
        let exponentials = zip(values, isCandidate).map { $1 ? exp($0 - highest) : 0 }
        let sum = exponentials.reduce(0, +)
        return exponentials.map { sum > 0 ? $0 / sum : 0 }
    }
}
