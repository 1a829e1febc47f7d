internal import Ggml

/// A token of each sequence in a layer whose rule scores entries: the device chooses the slots.
struct ScoredStep: ScoringStep {
    let graph: Graph
    let inputs: StepInputs
    let cache: LayerCache
    let scores: SlotScores
    let projections: BlockGraph.Projections
    let features: Tensor?
    /// What is seen besides the slots; nil if nothing is.
    let frozen: FrozenStep?
    /// What attention scores are multiplied by before the softmax.
    let scale: Float

    var shape: SlotShape { scores.shape }
    var positions: Tensor { scores.positions }
    var keys: Tensor { cache.keys }
    var queries: Tensor { writer.grouped(projections.queries) }

    private var rule: ScoringRule { scores.rule }
    private var writer: SlotWriter { SlotWriter(graph: graph, cache: cache, frozen: frozen) }

    var held: AdmittedSlot {
        AdmittedSlot(index: nil, keys: cache.keys, values: cache.values, positions: scores.positions)
    }

    // MARK: Choosing and writing a slot

    func admit(by scores: Tensor) -> AdmittedSlot {
        let index = victim(scores)
        let position = scalar("positionPerHead") { Float($0.position) }
        mark(index)
        return AdmittedSlot(
            index: index, keys: writer.write(keys: projections.keys!, at: index),
            values: writer.write(values: projections.values!, at: index),
            positions: writer.write(graph.reshape(position, [shape.kvHeads]), to: self.scores.positions, at: index))
    }

    /// Notes whether the token is pinned.
    private func mark(_ slot: Tensor) {
        guard let pinned = scores.pinned else { return }
        let isPinned = scalar("isPinned") { $0.pins.contains($0.position) ? 1 : 0 }
        graph.schedule(writer.write(graph.reshape(isPinned, [shape.kvHeads]), to: pinned, at: slot))
    }

    /// An empty slot if there is one, else the lowest score that is not protected.
    private func victim(_ scores: Tensor) -> Tensor {
        var order = graph.scale(scores, by: -1)
        var positions = self.scores.positions
        if rule.sharesChoice {
            // All heads hold the same positions, so the first one's stand for all.
            let total = graph.reduceRows(
                graph.reshape(order, [shape.slots, shape.ownHeads, shape.sequences]), by: .sum)
            order = graph.reshape(graph.contiguous(total), [shape.slots, shape.sequences])
            positions = firstHeads(positions)
        }
        for protected in protected(positions) { order = graph.add(order, graph.scale(protected, by: -1e9)) }
        return highest(graph.add(order, graph.scale(invisible(positions), by: 1e20)), positions)
    }

    /// Of `[slots, kvHeads]` each sequence's first head: `[slots, sequences]`.
    private func firstHeads(_ values: Tensor) -> Tensor {
        graph.contiguous(
            graph.view(values, [shape.slots, shape.sequences], strides: [shape.ownHeads * values.strides[1]]))
    }

    /// The slot with the highest value in each row; of equal ones an empty one, else that with the highest position.
    private func highest(_ values: Tensor, _ positions: Tensor) -> Tensor {
        let rows = values[1]
        let any = graph.reshape(graph.argmax(values), [1, rows])
        let most = graph.rows(graph.reshape(values, [1, shape.slots, rows]), at: any)
        let isLess = graph.step(graph.scale(graph.subtract(values, graph.reshape(most, [1, rows])), by: -1))
        let isMost = graph.scale(isLess, by: -1, plus: 1)
        let rank = graph.add(graph.scale(positions, by: 1, plus: 2), graph.scale(isEmpty(positions), by: 1e9))
        return graph.argmax(graph.multiply(isMost, rank))
    }

    func write(_ values: Tensor, to target: Tensor, at slot: AdmittedSlot) -> Tensor {
        writer.write(values, to: target, at: slot.index!)
    }

    // MARK: Attending

    func products(_ queries: Tensor, _ slot: AdmittedSlot) -> Tensor {
        graph.matmul(slot.keys, graph.scale(queries, by: scale))
    }

    func masked(_ scores: Tensor, _ slot: AdmittedSlot) -> Tensor {
        let hidden = graph.scale(invisible(slot.positions), by: maskedScore)
        return graph.add(scores, graph.reshape(hidden, [shape.slots, 1, shape.kvHeads]))
    }

    func weights(_ masked: Tensor) -> Tensor { writer.weights(masked, projections.sinks) }

    func output(_ weights: Tensor, _ slot: AdmittedSlot) -> Tensor {
        cache.plan.storesRows ? attention(slot) : writer.output(slot.values, weights)
    }

    func attention(_ slot: AdmittedSlot) -> Tensor {
        guard cache.plan.storesRows else { return output(weights(masked(products(queries, slot), slot)), slot) }
        if let frozen, !frozen.isWeighed { _ = weights(masked(products(queries, slot), slot)) }
        let hidden = graph.reshape(
            graph.scale(invisible(slot.positions), by: maskedScore), [shape.slots, 1, shape.kvHeads])
        let (group, own) = (shape.geometry.groupSize, shape.ownHeads)
        let byQuery = group == 1 ? hidden : graph.repeated(hidden, to: [shape.slots, group, shape.kvHeads])
        let mask = graph.cast(graph.reshape(byQuery, [shape.slots, 1, group * own, shape.sequences]), to: .f16)
        return writer.attend(
            projections.queries, keys: slot.keys, values: slot.values, mask: mask, scale: scale,
            sinks: projections.sinks)
    }

    // MARK: Which slots are what, 1 or 0

    var excluded: Tensor {
        let excluded = protected(scores.positions).reduce(invisible(scores.positions), graph.add)
        return graph.scale(graph.step(excluded), by: maskedScore)
    }

    /// What may not be chosen by score, for each reason that there is.
    private func protected(_ positions: Tensor) -> [Tensor] {
        [isRecent(positions), isSink(positions), isKeptPrompt(positions), isPinned(positions)].compactMap { $0 }
    }

    /// Positions just before the token's that are never evicted.
    private func isRecent(_ positions: Tensor) -> Tensor {
        let window = rule.window
        let before = scalar("beforeWindow", rows: positions[1]) { Float($0.position) - Float(window) - 0.5 }
        return graph.step(graph.subtract(positions, before))
    }

    private func isSink(_ positions: Tensor) -> Tensor? {
        guard rule.sinks > 0 else { return nil }
        return graph.step(graph.scale(positions, by: -1, plus: Float(rule.sinks) - 0.5))
    }

    /// The prompt, in heads that hold no more of it than its floor; what it says of empty slots does not matter, which are
    /// chosen first.
    private func isKeptPrompt(_ positions: Tensor) -> Tensor? {
        guard rule.promptFloor > 0 else { return nil }
        let end = scalar("promptEnd", rows: positions[1]) { Float($0.promptEnd) - 0.5 }
        let isPrompt = graph.step(graph.scale(graph.subtract(positions, end), by: -1))
        let held = graph.sumRows(isPrompt)
        guard scores.pinned != nil else {
            return graph.multiply(isPrompt, graph.step(graph.scale(held, by: -1, plus: Float(rule.promptFloor) + 0.5)))
        }
        let floor = scalar("promptFloor", rows: positions[1]) { [rule] in
            Float(rule.promptFloor(beside: $0.pins, after: $0.promptEnd, before: $0.position)) + 0.5
        }
        return graph.multiply(isPrompt, graph.step(graph.scale(graph.subtract(held, floor), by: -1)))
    }

    private func isPinned(_ positions: Tensor) -> Tensor? {
        guard let pinned = scores.pinned, positions[1] != pinned[1] else { return scores.pinned }
        // All heads hold the same positions.
        return firstHeads(pinned)
    }

    private func isEmpty(_ positions: Tensor) -> Tensor { graph.step(graph.scale(positions, by: -1, plus: -0.5)) }

    /// Empty slots, and positions behind the layer's sliding window.
    private func invisible(_ positions: Tensor) -> Tensor {
        guard let window = shape.geometry.slidingWindow else { return isEmpty(positions) }
        let behind = scalar("behindSlidingWindow", rows: positions[1]) { Float($0.position) - Float(window) + 0.5 }
        let isBehind = graph.step(graph.scale(graph.subtract(positions, behind), by: -1))
        return graph.step(graph.add(isEmpty(positions), isBehind))
    }
}
