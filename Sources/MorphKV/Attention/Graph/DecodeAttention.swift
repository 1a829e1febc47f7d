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

    /// - Returns: `[headDim * queryHeads, 1]`, the heads' results in order.
    func attend(_ p: BlockGraph.Projections) -> Tensor {
        cache.scores.map { attendScored(p, $0) } ?? attendPositional(p)
    }

    private func attendPositional(_ p: BlockGraph.Projections) -> Tensor {
        let keys = writeKeys(p.keys, at: inputs.slot!)
        let values = writeValues(p.values, at: inputs.slot!)
        let scores = graph.matmul(keys, grouped(p.queries))
        return merge(values, graph.softmax(graph.add(scores, inputs.mask!), scale: scale))
    }

    private func attendScored(_ p: BlockGraph.Projections, _ state: ScoreState) -> Tensor {
        let queries = grouped(p.queries)
        switch state.kind {
        case .windowSum(let window): return attend(p, queries, state, window)
        case .cumulative(let score, let decay): return attend(p, queries, state, score, decay: decay)
        case .profile(let profile): return attend(p, queries, state, profile)
        }
    }

    // MARK: Sum over the window

    private func attend(
        _ p: BlockGraph.Projections, _ queries: Tensor, _ state: ScoreState, _ window: WindowSumState
    ) -> Tensor {
        // At the start of every W-th step, `fresh` becomes `expiring` and starts at zero.
        var fresh = graph.multiply(window.fresh, inputs.keep!)
        var expiring = graph.add(
            graph.multiply(window.expiring, inputs.keep!), graph.multiply(window.fresh, inputs.handOver!))
        let slot = write(p, state, chosenBy: graph.add(fresh, expiring))
        fresh = writeScalar(fresh, inputs.zeroPerHead!, at: slot.victim)
        expiring = writeScalar(expiring, inputs.zeroPerHead!, at: slot.victim)

        // One pass over the keys serves this token's queries and those that now leave the window.
        let expired = graph.rows(window.queries, at: inputs.ringRow!)
        graph.schedule(expired)
        let both = graph.concat(queries, grouped(expired), along: 1)
        let products = graph.matmul(slot.keys, graph.scale(both, by: scale))
        func half(_ index: Int) -> Tensor {
            graph.view(
                products, [slots, group, heads], strides: Array(products.strides[1...2]),
                offset: index * group * products.strides[1])
        }
        let masked = graph.add(half(0), hidden(slot.positions))
        let weights = graph.softmax(masked)
        let expiredWeights = recompute(half(1), slot.positions, window)
        rememberQuery(p.queries, masked: masked, weights: weights, window)

        let now = graph.reduceGroup(weights, by: state.rule.groupReduction)
        let then = graph.reduceGroup(expiredWeights, by: state.rule.groupReduction)
        graph.schedule(graph.copy(graph.add(fresh, now), to: window.fresh))
        graph.schedule(graph.copy(graph.subtract(expiring, then), to: window.expiring))
        return merge(slot.values, weights)
    }

    /// The weights that the query now leaving the window gave, from its scores and its stored normaliser; entries
    /// younger than that query got none.
    private func recompute(_ scores: Tensor, _ positions: Tensor, _ window: WindowSumState) -> Tensor {
        let normalizer = graph.rows(window.normalizers, at: inputs.ringRow!)
        graph.schedule(normalizer)
        let isYounger = graph.step(graph.subtract(positions, inputs.expiredPosition!))
        let hidden = graph.reshape(graph.scale(isYounger, by: maskedScore), [slots, 1, heads])
        return graph.exp(
            graph.subtract(graph.add(scores, hidden), graph.reshape(normalizer, [1, group, heads])))
    }

    /// Puts this query and the logarithm of its softmax denominator into the ring.
    private func rememberQuery(_ queries: Tensor, masked: Tensor, weights: Tensor, _ window: WindowSumState) {
        let normalizer = graph.logDenominators(scores: masked, weights: weights)
        graph.schedule(
            graph.setRows(
                of: window.normalizers, to: graph.reshape(normalizer, [group * heads, 1]), at: inputs.ringRow!))
        let flat = graph.reshape(queries, [dimension * group * heads, 1])
        graph.schedule(graph.setRows(of: window.queries, to: flat, at: inputs.ringRow!))
    }

    // MARK: Sum over all queries

    private func attend(
        _ p: BlockGraph.Projections, _ queries: Tensor, _ state: ScoreState, _ score: Tensor, decay: Float
    ) -> Tensor {
        let slot = write(p, state, chosenBy: score)
        let products = graph.matmul(slot.keys, graph.scale(queries, by: scale))
        let weights = graph.softmax(graph.add(products, hidden(slot.positions)))
        let now = graph.reduceGroup(weights, by: state.rule.groupReduction)
        let kept = writeScalar(graph.scale(score, by: decay), inputs.zeroPerHead!, at: slot.victim)
        graph.schedule(graph.copy(graph.add(kept, now), to: score))
        return merge(slot.values, weights)
    }

    // MARK: Votes one by one

    private func attend(
        _ p: BlockGraph.Projections, _ queries: Tensor, _ state: ScoreState, _ profile: ProfileState
    ) -> Tensor {
        let slot = write(p, state, chosenBy: fuse(profile, state))
        let products = graph.matmul(slot.keys, graph.scale(queries, by: scale))
        let weights = graph.softmax(graph.add(products, hidden(slot.positions)))
        forget(slot.victim, profile)
        let vote: Tensor =
            switch (profile.normalization, profile.groupReduction) {
            case (.full, let reduction): graph.reduceGroup(weights, by: reduction)
            case (.candidates, .sum): graph.reduceGroup(products, by: .sum)
            case (.candidates, .max): products
            }
        graph.schedule(
            graph.setRows(
                of: profile.votes, to: graph.reshape(vote, [profile.votes[0], 1]), at: inputs.ringRow!))
        return merge(slot.values, weights)
    }

    /// The score of each slot from the votes of the ring: `[slots, kvHeads]`.
    private func fuse(_ profile: ProfileState, _ state: ScoreState) -> Tensor {
        let voters = profile.votersPerHead
        var votes = graph.reshape(profile.votes, [slots, voters, heads, profile.queryCount])
        if profile.normalization == .candidates {
            let excluded = graph.reshape(notCandidates(state), [slots, 1, heads, 1])
            votes = graph.softmax(graph.add(votes, excluded))
            if voters > 1 {
                let flat = graph.reshape(votes, [slots, voters, heads * profile.queryCount])
                votes = graph.reduceRows(flat, by: .max)
            }
            votes = graph.multiply(
                graph.reshape(votes, [slots * heads, profile.queryCount, 1]), inputs.isQuery!)
        }
        let rows = graph.reshape(votes, [slots * heads, profile.queryCount, 1])
        return graph.reshape(
            graph.reduceRows(rows, by: profile.fusion == .sum ? .sum : .max), [slots, heads])
    }

    /// ``maskedScore`` for slots that cannot be evicted by score: empty, out of sight, protected.
    private func notCandidates(_ state: ScoreState) -> Tensor {
        var excluded = graph.add(invisible(state.positions), isRecent(state.positions))
        if let sinks = isSink(state.positions, state.rule) { excluded = graph.add(excluded, sinks) }
        return graph.scale(graph.step(excluded), by: maskedScore)
    }

    /// The votes for the victim do not count for the entry that takes its slot.
    private func forget(_ victim: Tensor, _ profile: ProfileState) {
        let voters = profile.votersPerHead
        let all = graph.reshape(profile.votes, [1, slots, voters * heads, profile.queryCount])
        var index = graph.reshape(victim, [1, victim.count])
        if voters > 1, victim.count > 1 {
            index = graph.reshape(graph.repeated(index, to: [voters, victim.count]), [1, voters * heads])
        }
        graph.schedule(graph.setRows(of: all, to: inputs.unseenVotes!, at: index))
    }

    // MARK: Choosing and writing a slot

    /// The slot that this token goes to, and the cache after it was written.
    private struct WrittenSlot {
        /// i32 `[kvHeads]`, or `[1]` if all heads share it.
        let victim: Tensor
        let keys: Tensor
        let values: Tensor
        let positions: Tensor
    }

    /// The scores of earlier steps choose the victim, before this token's queries are looked at.
    private func write(_ p: BlockGraph.Projections, _ state: ScoreState, chosenBy score: Tensor) -> WrittenSlot {
        let victim = chooseVictim(score, state)
        return WrittenSlot(
            victim: victim, keys: writeKeys(p.keys, at: victim), values: writeValues(p.values, at: victim),
            positions: writeScalar(state.positions, inputs.positionPerHead!, at: victim))
    }

    /// An empty slot if there is one, else the lowest score outside the window and the sinks.
    private func chooseVictim(_ score: Tensor, _ state: ScoreState) -> Tensor {
        var order = graph.scale(score, by: -1)
        if state.rule.sharesChoice {
            // All heads hold the same positions, so the first one's stand for all.
            let total = graph.reduceRows(graph.reshape(order, [slots, heads, 1]), by: .sum)
            order = graph.reshape(graph.contiguous(total), [slots, 1])
        }
        let positions =
            state.rule.sharesChoice
            ? graph.view(state.positions, [slots, 1], strides: [state.positions.strides[1]]) : state.positions
        order = graph.add(order, graph.scale(isRecent(positions), by: -1e9))
        if let sinks = isSink(positions, state.rule) { order = graph.add(order, graph.scale(sinks, by: -1e9)) }
        return graph.argmax(graph.add(order, graph.scale(invisible(positions), by: 1e20)))
    }

    private func isRecent(_ positions: Tensor) -> Tensor {
        graph.step(graph.subtract(positions, inputs.beforeWindow!))
    }

    private func isSink(_ positions: Tensor, _ rule: ScoringRule) -> Tensor? {
        guard rule.sinks > 0 else { return nil }
        return graph.step(graph.scale(positions, by: -1, plus: Float(rule.sinks) - 0.5))
    }

    /// 1 for empty slots and for positions behind the layer's sliding window, else 0.
    private func invisible(_ positions: Tensor) -> Tensor {
        let isEmpty = graph.step(graph.scale(positions, by: -1, plus: -0.5))
        guard let behind = inputs.behindSlidingWindow else { return isEmpty }
        let isBehind = graph.step(graph.scale(graph.subtract(positions, behind), by: -1))
        return graph.step(graph.add(isEmpty, isBehind))
    }

    /// ``maskedScore`` for slots that attention must not see: `[slots, 1, kvHeads]`.
    private func hidden(_ positions: Tensor) -> Tensor {
        graph.reshape(graph.scale(invisible(positions), by: maskedScore), [slots, 1, heads])
    }

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
            of: graph.reshape(target, [1, slots, heads]), to: graph.reshape(value, [1, 1, heads]),
            at: graph.reshape(slot, [1, slot.count]))
        return graph.view(written, [slots, heads], strides: [slots * 4])
    }

    // MARK: Shapes

    /// `[headDim, queryHeads]` to `[headDim, group, kvHeads]`: the query heads of a group are neighbours.
    private func grouped(_ queries: Tensor) -> Tensor { graph.reshape(queries, [dimension, group, heads]) }

    private func merge(_ values: Tensor, _ weights: Tensor) -> Tensor {
        graph.reshape(graph.matmul(values, weights), [dimension * group * heads, 1])
    }
}
