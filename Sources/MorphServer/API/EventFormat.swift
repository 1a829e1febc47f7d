#if Server
internal import MorphKV

/// An event of a stream, with its name.
typealias NamedEvent = (name: String, data: JSONValue)

/// How the answer of a chat is written by an interface of which every event has a name.
protocol EventFormat: Sendable {
    /// What comes before the answer.
    mutating func begin(_ first: ServingPiece) -> [NamedEvent]
    /// A part of the answer.
    mutating func part(_ delta: ChatParser.Delta, _ timings: ServingTimings) -> [NamedEvent]
    /// How far the prompt is, where the interface says so.
    mutating func progress(_ progress: ServingPiece.Progress, _ timings: ServingTimings) -> [NamedEvent]
    /// The end of the answer.
    mutating func finish(_ message: ChatMessage, _ end: ServingPiece.End) -> [NamedEvent]
    /// A whole answer.
    func whole(_ message: ChatMessage, _ end: ServingPiece.End) -> JSONValue
    /// An error where the answer has begun.
    func failure(_ error: APIError) -> NamedEvent
}
#endif
