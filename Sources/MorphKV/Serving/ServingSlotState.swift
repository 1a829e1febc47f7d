/// What one of a scheduler's slots, that is caches, is doing.
public struct ServingSlotState: Sendable, Hashable {
    /// Its number, from 0.
    public let id: Int
    /// Whether a request is computed in it.
    public let isProcessing: Bool
    /// Tokens that its cache has seen.
    public let tokens: Int
    /// Tokens of the prompt of the request that is computed; 0 without one.
    public let promptTokens: Int
    /// Tokens of its answer so far.
    public let generated: Int
}

extension ServingSlot {
    /// What it is doing.
    ///
    /// - Parameter sequence: what is computed in it; nil if nothing is.
    func state(_ sequence: ServedSequence?) -> ServingSlotState {
        ServingSlotState(
            id: index, isProcessing: sequence != nil, tokens: fed.count,
            promptTokens: sequence?.queued.request.prompt.count ?? 0, generated: sequence?.generated ?? 0)
    }
}

/// Work on a slot between two steps, as soon as nothing is computed in it.
struct SlotTask: Sendable {
    let slot: Int
    let deadline: ContinuousClock.Instant
    private let body: @Sendable (ServingCaches) throws -> Int
    private let continuation: CheckedContinuation<Int, any Error>

    init(
        slot: Int, deadline: ContinuousClock.Instant, body: @escaping @Sendable (ServingCaches) throws -> Int,
        _ continuation: CheckedContinuation<Int, any Error>
    ) {
        (self.slot, self.deadline, self.body, self.continuation) = (slot, deadline, body, continuation)
    }

    /// Does it, on the computing thread.
    func run(_ caches: ServingCaches) { continuation.resume(with: Result { try body(caches) }) }

    /// Says why it is not done.
    func fail(_ error: ServingError) { continuation.resume(throwing: error) }
}
