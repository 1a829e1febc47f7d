internal import Synchronization

/// What a ``Scheduler`` has done so far and does at present.
public struct ServingStatistics: Sendable, Hashable {
    /// How a request can end.
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        /// The model ended its text, or a stop string appeared.
        case stop
        /// The wanted number of tokens was reached.
        case length
        /// The reader cancelled it, or took no pieces for too long.
        case cancelled
        /// The time limit was reached.
        case outOfTime = "out_of_time"
        /// The device or the model failed, or the scheduler was stopped.
        case failed
    }

    /// How often a measured value fell into which range.
    public struct Histogram: Sendable, Hashable {
        /// The upper bounds of the ranges, ascending; a last range without bound follows.
        public let bounds: [Double]
        /// How many values fell into each range.
        public private(set) var counts: [Int]
        /// The sum of all values.
        public private(set) var sum = 0.0

        /// An empty histogram.
        public init(bounds: [Double]) {
            self.bounds = bounds
            counts = Array(repeating: 0, count: bounds.count + 1)
        }

        /// Adds a value.
        public mutating func add(_ value: Double) {
            counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
            sum += value
        }
    }

    /// Ended requests.
    public internal(set) var outcomes: [Outcome: Int] = [:]
    /// Requests that wait for a sequence.
    public internal(set) var waiting = 0
    /// Sequences that are being computed.
    public internal(set) var running = 0
    /// Caches of ended answers that are kept: the entries of the prefix cache.
    public internal(set) var keptConversations = 0
    /// Prompt tokens that were computed.
    public internal(set) var promptTokens = 0
    /// Prompt tokens that the prefix cache held, and tokens of contexts.
    public internal(set) var cachedTokens = 0
    /// Prompt tokens that were computed and are pinned, so that they are never evicted.
    public internal(set) var pinnedTokens = 0
    /// Tokens that were generated.
    public internal(set) var generatedTokens = 0
    /// Tokens that caches dropped to stay within their size.
    public internal(set) var evictedTokens = 0
    /// Tokens of the longest sequence so far.
    public internal(set) var mostTokens = 0
    /// Bytes of all caches, allocated at the start.
    public internal(set) var cacheBytesPlanned = 0
    /// Bytes of those cache entries that hold something.
    public internal(set) var cacheBytesUsed = 0
    /// What each slot does.
    public internal(set) var slots: [ServingSlotState] = []
    /// Seconds of one step of all running answers.
    public internal(set) var stepSeconds = Histogram(bounds: Self.steps)
    /// Seconds of one part of a prompt.
    public internal(set) var chunkSeconds = Histogram(bounds: Self.steps)
    /// Seconds between two tokens of an answer, as they are computed; pauses because of a slow reader do not count.
    public internal(set) var gapSeconds = Histogram(bounds: Self.steps)
    /// Seconds from the request to its first token.
    public internal(set) var firstTokenSeconds = Histogram(bounds: Self.waits)
    /// Seconds from the request to the end of its answer.
    public internal(set) var requestSeconds = Histogram(bounds: Self.waits)

    private static let steps = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
    private static let waits = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
}

/// The statistics as they change: the computing thread writes them, any thread reads them.
final class ServingMeter: Sendable {
    private let state = Mutex(ServingStatistics())

    var statistics: ServingStatistics { state.withLock { $0 } }

    func update(_ change: (inout ServingStatistics) -> Void) { state.withLock { change(&$0) } }
}
