internal import Ggml

/// The small tensors that tell a decode step where it is in the sequence; layers with the same rule share them.
final class StepInputs {
    /// What layers must have in common to share their inputs.
    struct Key: Hashable {
        let rule: RetentionRule
        let slidingWindow: Int?
        /// Layers that were cut once may hold different numbers of entries.
        let layer: Int?

        init(_ plan: LayerPlan) {
            rule = plan.rule
            slidingWindow = plan.geometry.slidingWindow
            if case .once = rule { layer = plan.geometry.layer } else { layer = nil }
        }
    }

    // For rules that depend on positions only.

    /// The slot that the token goes to: i32 `[1]`.
    private(set) var slot: Tensor?
    /// 0 for filled slots, ``maskedScore`` for empty ones: `[slots]`.
    private(set) var mask: Tensor?

    // For rules that depend on scores; p is the token's position, W the window of voting queries.

    /// p, once per KV head: `[kvHeads]`.
    private(set) var positionPerHead: Tensor?
    /// 0, once per KV head: `[kvHeads]`.
    private(set) var zeroPerHead: Tensor?
    /// For each row of the ring 1 if it holds a query, else 0: `[1, W]`.
    private(set) var isQuery: Tensor?
    /// What every query's vote for the new entry is: `[1, 1, voters * kvHeads, W]`.
    private(set) var unseenVotes: Tensor?
    /// p mod W, the row of the query that leaves the window and of the one that enters: i32 `[1]`.
    private(set) var ringRow: Tensor?
    /// Positions above it are protected: p - protected window - 0.5.
    private(set) var beforeWindow: Tensor?
    /// Positions above it are younger than the query that leaves: p - W + 0.5.
    private(set) var expiredPosition: Tensor?
    /// Positions below it are out of the layer's sight: p - sliding window + 0.5.
    private(set) var behindSlidingWindow: Tensor?
    /// 1 in the step that hands the fresh scores over, else 0.
    private(set) var handOver: Tensor?
    /// 1 - handOver.
    private(set) var keep: Tensor?

    private let layer: LayerCache
    private var maskValues: [Float] = []
    private var filledBefore = 0
    private var unseen: [Float] = []

    /// - Parameter layer: any of the layers that share the inputs.
    init(_ layer: LayerCache, in graph: Graph) {
        self.layer = layer
        let heads = layer.plan.geometry.kvHeads
        func scalar(_ name: String) -> Tensor { graph.input(.f32, [1], name: name) }
        guard let scores = layer.scores else {
            slot = graph.input(.i32, [1], name: "slot")
            mask = graph.input(.f32, [layer.slots], name: "mask")
            maskValues = Array(repeating: maskedScore, count: layer.slots)
            return
        }
        positionPerHead = graph.input(.f32, [heads], name: "positionPerHead")
        beforeWindow = scalar("beforeWindow")
        if layer.plan.geometry.slidingWindow != nil { behindSlidingWindow = scalar("behindSlidingWindow") }
        switch scores.kind {
        case .windowSum:
            zeroPerHead = graph.input(.f32, [heads], name: "zeroPerHead")
            ringRow = graph.input(.i32, [1], name: "ringRow")
            expiredPosition = scalar("expiredPosition")
            handOver = scalar("handOver")
            keep = scalar("keep")
        case .cumulative:
            zeroPerHead = graph.input(.f32, [heads], name: "zeroPerHead")
        case .profile(let profile):
            ringRow = graph.input(.i32, [1], name: "ringRow")
            let voters = profile.votersPerHead * heads
            unseenVotes = graph.input(.f32, [1, 1, voters, profile.queryCount], name: "unseenVotes")
            unseen = Array(repeating: profile.unseen, count: voters * profile.queryCount)
            guard profile.normalization == .candidates else { break }
            isQuery = graph.input(.f32, [1, profile.queryCount], name: "isQuery")
        }
    }

    /// Fills the inputs for the token at `position`.
    func fill(position: Int) {
        guard let scores = layer.scores else {
            fillPositional(position)
            return
        }
        let p = Float(position)
        for head in 0..<layer.plan.geometry.kvHeads {
            positionPerHead!.write(p, at: head)
            zeroPerHead?.write(Float(0), at: head)
        }
        beforeWindow!.write(p - Float(scores.rule.window) - 0.5)
        if let window = layer.plan.geometry.slidingWindow { behindSlidingWindow!.write(p - Float(window) + 0.5) }
        if let length = scores.ringLength { ringRow!.write(Int32(position % length)) }
        switch scores.kind {
        case .windowSum(let state):
            expiredPosition!.write(p - Float(state.queryCount) + 0.5)
            let handsOver = layer.queriesSinceHandOver == state.queryCount
            handOver!.write(Float(handsOver ? 1 : 0))
            keep!.write(Float(handsOver ? 0 : 1))
        case .cumulative: break
        case .profile(let state):
            unseenVotes!.write(unseen)
            guard let isQuery else { break }
            for row in 0..<state.queryCount { isQuery.write(Float(row < position ? 1 : 0), at: row) }
        }
    }

    private func fillPositional(_ position: Int) {
        let target = layer.slot(of: position)
        slot!.write(Int32(target))
        let filled = max(layer.used, target + 1)
        // Fewer than before after the cache was cleared or cut.
        for index in filled..<max(filled, filledBefore) { maskValues[index] = maskedScore }
        for index in min(filled, filledBefore)..<filled { maskValues[index] = 0 }
        filledBefore = filled
        mask!.write(maskValues)
    }
}
