#if Server
public import MorphKV
internal import Synchronization

/// The memory of a serving process: what it holds from its start on, and what requests may add.
public struct ServerMemory: Sendable, Hashable {
    /// Bytes that a connection takes at most besides the bodies of large requests: buffers, tasks, an answer's events.
    static let perConnection = 64 << 10
    /// Reading and decoding one body takes that many times its bytes.
    static let bodyFactor = 8

    /// What the scheduler holds.
    public let scheduler: ServingMemory
    /// Bytes of everything else that is resident by now: code, libraries, tables of the runtime; nil where the system
    /// does not say.
    public let program: Int?
    /// Bytes that connections and requests take at most, on top.
    public let connections: Int
    /// Bytes that grammars, chat templates and what takes answers apart take at most, on top; nil where that has no limit, because
    /// the program has memory management of its own.
    public let grammars: Int?

    /// - Parameter figures: of the process, after its first answer.
    init(_ scheduler: Scheduler, _ configuration: ServerConfiguration, _ figures: ProcessFigures?) {
        self.scheduler = scheduler.memory
        let computed = scheduler.memory.isHost ? scheduler.memory.total : 0
        program = figures.map { max(0, $0.residentBytes - computed) }
        connections =
            configuration.maxConnections * Self.perConnection + configuration.maxBodyBytes * Self.bodyFactor
            + scheduler.memory.requests
            // A saved slot is mapped while it is read, and written in blocks.
            + (configuration.slotFolder == nil ? 0 : scheduler.memory.cachePerSequence + (8 << 20))
        grammars = Self.grammarBytes(scheduler, configuration)
    }

    /// What ``GrammarBudget`` gives out, what grammars and parsers of running answers grow by, and what is needed to read a template or
    /// a grammar and, beside that, an answer.
    private static func grammarBytes(_ scheduler: Scheduler, _ configuration: ServerConfiguration) -> Int? {
        guard Grammar.isAvailable else { return 0 }
        guard CommonLimits.hold else { return nil }
        return configuration.maxGrammarBytes + scheduler.options.parallel * 2 * CommonLimits.growth
            + 2 * CommonLimits.work + configuration.maxBodyBytes * CommonLimits.inputFactor
    }

    /// Bytes that the process stays below.
    public var total: Int { scheduler.total + (program ?? 0) + connections + (grammars ?? 0) }
}

/// What was announced; nothing before the server listens.
final class Announced: Sendable {
    private let state = Mutex<ServerMemory?>(nil)

    var memory: ServerMemory? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
#endif
