internal import Ggml

/// What every masked score becomes: far below any real one, yet finite, so that 0 times it is 0.
let maskedScore: Float = -1e30

/// One token's attention over the slots of a layer: evict, write, attend, update the scores, all on the device.
struct DecodeAttention {
    let graph: Graph
    let cache: LayerCache
    let inputs: StepInputs
    /// What attention scores are multiplied by before the softmax.
    let scale: Float

    private var geometry: LayerGeometry { cache.plan.geometry }
    private var heads: Int { geometry.kvHeads }
    private var group: Int { geometry.groupSize }
    private var dimension: Int { geometry.headDimension }
    private var slots: Int { cache.slots }

    /// - Returns: `[headDim * queryHeads]`, the heads' results in order.
    func attend(_ p: BlockGraph.Projections) -> Tensor {
        if let scores = cache.scores, let scoring = cache.plan.scoring {
            attendScored(p, scores, scoring)
        } else {
            attendPositional(p)
        }
    }

    // MARK: Rules that depend on positions only

    private func attendPositional(_ p: BlockGraph.Projections) -> Tensor {
        let keys = writeKeys(p.keys, at: inputs.slot!)
        let values = writeValues(p.values, at: inputs.slot!)
        let scores = graph.matmul(keys, grouped(p.queries))
        return merge(values, graph.softmax(graph.add(scores, inputs.mask!), scale: scale))
    }

    // MARK: Rules that depend on scores

    private func attendScored(_ p: BlockGraph.Projections, _ state: LayerCache.Scores, _ rule: ScoringRule) -> Tensor {
        // The scores of earlier steps choose the victim before this token's queries are looked at.
        var (fresh, expiring) = handOver(state)
        let victim = chooseVictim(graph.add(fresh, expiring), state, rule)
        let keys = writeKeys(p.keys, at: victim)
        let values = writeValues(p.values, at: victim)
        let positions = writeScalar(state.positions, inputs.positionPerHead!, at: victim)
        fresh = writeScalar(fresh, inputs.zeroPerHead!, at: victim)
        expiring = writeScalar(expiring, inputs.zeroPerHead!, at: victim)

        // One pass over the keys serves this token's queries and those that now leave the window.
        let expired = graph.rows(state.queries, at: inputs.ringRow!)
        graph.schedule(expired)
        let both = graph.concat(grouped(p.queries), grouped(expired), along: 1)
        let products = graph.matmul(keys, graph.scale(both, by: scale))
        let size = products.strides
        func half(_ index: Int) -> Tensor {
            graph.view(
                products, [slots, group, heads], strides: [size[1], size[2]], offset: index * group * size[1])
        }
        let hidden = graph.scale(invisible(positions), by: maskedScore)
        let masked = graph.add(half(0), graph.reshape(hidden, [slots, 1, heads]))
        let weights = graph.softmax(masked)
        let expiredWeights = recompute(half(1), positions, state)
        rememberQuery(p.queries, masked: masked, weights: weights, state)

        let now = reduceGroup(weights, rule.groupReduction)
        let then = reduceGroup(expiredWeights, rule.groupReduction)
        graph.schedule(graph.copy(graph.add(fresh, now), to: state.fresh))
        graph.schedule(graph.copy(graph.subtract(expiring, then), to: state.expiring))
        return merge(values, weights)
    }

    /// At the start of every `window`-th step, `fresh` becomes `expiring` and starts at zero.
    private func handOver(_ state: LayerCache.Scores) -> (fresh: Tensor, expiring: Tensor) {
        (
            graph.multiply(state.fresh, inputs.keep!),
            graph.add(graph.multiply(state.expiring, inputs.keep!), graph.multiply(state.fresh, inputs.handOver!))
        )
    }

    /// An empty slot if there is one, else the lowest score outside the window and the sinks: i32 `[heads]`.
    private func chooseVictim(_ score: Tensor, _ state: LayerCache.Scores, _ rule: ScoringRule) -> Tensor {
        let positions = state.positions
        var order = graph.scale(score, by: -1)
        let isRecent = graph.step(graph.subtract(positions, inputs.beforeWindow!))
        order = graph.add(order, graph.scale(isRecent, by: -1e9))
        if rule.sinks > 0 {
            let isSink = graph.step(graph.scale(positions, by: -1, plus: Float(rule.sinks) - 0.5))
            order = graph.add(order, graph.scale(isSink, by: -1e9))
        }
        return graph.argmax(graph.add(order, graph.scale(invisible(positions), by: 1e20)))
    }

    /// 1 for empty slots and for positions behind the layer's sliding window, else 0.
    private func invisible(_ positions: Tensor) -> Tensor {
        let isEmpty = graph.step(graph.scale(positions, by: -1, plus: -0.5))
        guard let behind = inputs.behindSlidingWindow else { return isEmpty }
        let isBehind = graph.step(graph.scale(graph.subtract(positions, behind), by: -1))
        return graph.step(graph.add(isEmpty, isBehind))
    }

    /// The weights that the query now leaving the window gave, from its scores and its stored normaliser; entries
    /// younger than that query got none.
    private func recompute(_ scores: Tensor, _ positions: Tensor, _ state: LayerCache.Scores) -> Tensor {
        let normalizer = graph.rows(state.normalizers, at: inputs.ringRow!)
        graph.schedule(normalizer)
        let isYounger = graph.step(graph.subtract(positions, inputs.expiredPosition!))
        let hidden = graph.reshape(graph.scale(isYounger, by: maskedScore), [slots, 1, heads])
        let shifted = graph.subtract(graph.add(scores, hidden), graph.reshape(normalizer, [1, group, heads]))
        return graph.exp(shifted)
    }

    /// Puts this query and the logarithm of its softmax denominator into the ring.
    ///
    /// ggml's softmax does not give the denominator, but score - log(weight) is its logarithm for every entry; the
    /// largest is the one where that is well conditioned.
    private func rememberQuery(_ queries: Tensor, masked: Tensor, weights: Tensor, _ state: LayerCache.Scores) {
        let rows = heads * group
        let best = graph.reshape(graph.argmax(graph.reshape(masked, [slots, rows])), [1, rows])
        let bestScore = graph.rows(graph.reshape(masked, [1, slots, rows]), at: best)
        let bestWeight = graph.rows(graph.reshape(weights, [1, slots, rows]), at: best)
        let normalizer = graph.reshape(graph.subtract(bestScore, graph.log(bestWeight)), [rows, 1])
        graph.schedule(graph.setRows(of: state.normalizers, to: normalizer, at: inputs.ringRow!))
        let flat = graph.reshape(queries, [dimension * rows, 1])
        graph.schedule(graph.setRows(of: state.queries, to: flat, at: inputs.ringRow!))
    }

    /// `[slots, group, heads]` to `[slots, heads]`.
    private func reduceGroup(_ weights: Tensor, _ reduction: ScoringRule.GroupReduction) -> Tensor {
        let size = weights.strides
        let members = (0..<group).map {
            graph.view(weights, [slots, heads], strides: [size[2]], offset: $0 * size[1])
        }
        let result = members.dropFirst().reduce(members[0]) { sum, next in
            reduction == .sum ? graph.add(sum, next) : graph.maximum(sum, next)
        }
        return result
    }

    // MARK: Writing a slot

    private func writeKeys(_ keys: Tensor, at slot: Tensor) -> Tensor {
        graph.setRows(
            of: cache.keys, to: graph.reshape(keys, [dimension, 1, heads]), at: graph.reshape(slot, [1, slot.count]))
    }

    /// Each channel of each head is a row of one element; the slot index is repeated over the channels.
    private func writeValues(_ values: Tensor, at slot: Tensor) -> Tensor {
        let size = cache.values.strides
        let target = graph.view(cache.values, [1, slots, dimension, heads], strides: [size[0], size[1], size[2]])
        let written = graph.setRows(
            of: target, to: graph.reshape(values, [1, 1, dimension, heads]),
            at: graph.reshape(slot, [1, 1, slot.count]))
        return graph.view(written, [slots, dimension, heads], strides: [size[1], size[2]])
    }

    private func writeScalar(_ target: Tensor, _ value: Tensor, at slot: Tensor) -> Tensor {
        let written = graph.setRows(
            of: rowsOfOne(target), to: graph.reshape(value, [1, 1, heads]), at: graph.reshape(slot, [1, heads]))
        return graph.view(written, [slots, heads], strides: [slots * 4])
    }

    private func rowsOfOne(_ tensor: Tensor) -> Tensor { graph.reshape(tensor, [1, slots, heads]) }

    // MARK: Shapes

    /// `[headDim, queryHeads]` to `[headDim, group, kvHeads]`: the query heads of a group are neighbours.
    private func grouped(_ queries: Tensor) -> Tensor { graph.reshape(queries, [dimension, group, heads]) }

    private func merge(_ values: Tensor, _ weights: Tensor) -> Tensor {
        graph.reshape(graph.matmul(values, weights), [dimension * group * heads, 1])
    }
}
