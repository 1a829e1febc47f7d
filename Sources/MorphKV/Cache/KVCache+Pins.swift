internal import CAttention

/// Pins: positions that never leave a cache of constant size.
extension KVCache {
    /// How many tokens can be pinned.
    var pinRoom: PinRoom { PinRoom(parts.map { $0.map(\.plan) }, options) }

    /// Notes that positions which come are never to be evicted, besides those that were pinned before; known before their
    /// tokens are fed.
    ///
    /// - Throws: ``CacheError`` of kind `pins` if the cache was not made for pins, or if they do not fit; then nothing is
    ///   pinned anew.
    func pin(_ positions: PinnedPositions) throws {
        guard !positions.isEmpty else { return }
        let all = pins.union(positions)
        try pinRoom.check(all.count)
        setPins(all)
    }

    /// Gives up the pins of positions that the sequence has not reached.
    func dropUnreachedPins() {
        let reached = pins.clamped(to: 0..<seen)
        if reached != pins { setPins(reached) }
    }
}

extension LayerCache {
    /// The pins that are in the layer's sight for the token at a position.
    func pinsInSight(at position: Int) -> PinnedPositions {
        guard let window = plan.geometry.slidingWindow else { return pins }
        return pins.clamped(to: max(0, position - window + 1)..<max(0, position))
    }
}

/// How many tokens of a sequence can be pinned.
struct PinRoom {
    /// Nil if there is no bound: everything stays anyway.
    let tokens: Int?
    private let isAllowed: Bool
    private let policy: String

    /// - Parameter options: prepared for the model.
    init(_ plans: [[LayerPlan]], _ options: CacheOptions) {
        isAllowed = options.pins
        policy = options.policy.specification
        let rooms = plans.joined().compactMap(\.pinRoom) + (options.policy.compression == nil ? [] : [0])
        tokens = isAllowed ? rooms.min() : 0
    }

    /// - Throws: ``CacheError`` of kind `pins` if that many are too many.
    func check(_ count: Int) throws {
        guard let tokens, count > tokens else { return }
        guard isAllowed else {
            throw CacheError(.pins, "\(count) tokens cannot be pinned: the cache was made without pins")
        }
        guard tokens > 0 else {
            throw CacheError(
                .pins, "\(count) tokens cannot be pinned under the policy \(policy), which has no room for that")
        }
        throw CacheError(.pins, "\(count) tokens are to be pinned; under the policy \(policy) \(tokens) fit")
    }
}

extension LayerPlan {
    /// How many entries of a KV head can be pinned, so that one more can always be evicted; nil where there is no bound.
    fileprivate var pinRoom: Int? {
        switch rule {
        case .everything: nil
        // Sees no more than it holds.
        case .recent: nil
        case .scored(let scoring): max(0, scoring.capacity - scoring.window - scoring.sinks - 1)
        // The cut of the first prompt knows no pins.
        case .once: 0
        }
    }
}

extension RetentionRule {
    /// The rule with scores, so that pins can be kept: where it depends on positions only, an entry's score is its position.
    /// A layer that holds all of its sliding window has no use for pins.
    func withPins(slidingWindow: Int?) -> RetentionRule {
        guard case .recent(let slots, let sinks) = self, slots < slidingWindow ?? .max else { return self }
        return .scored(ScoringRule(capacity: slots, window: 0, sinks: sinks, accumulation: .recency))
    }
}

/// Pins as the fused kernel reads them.
final class KernelPins {
    /// Sound: `count` of them, allocated in `init` and never written to after it; nil if there are none.
    let ranges: UnsafePointer<attention_range>?
    let count: Int32

    init(_ pins: PinnedPositions) {
        count = Int32(pins.ranges.count)
        guard !pins.isEmpty else {
            ranges = nil
            return
        }
        let memory = UnsafeMutablePointer<attention_range>.allocate(capacity: pins.ranges.count)
        for (index, range) in pins.ranges.enumerated() {
            (memory + index).initialize(
                to: attention_range(first: Int64(range.lowerBound), end: Int64(range.upperBound)))
        }
        ranges = UnsafePointer(memory)
    }

    deinit { ranges?.deallocate() }
}
