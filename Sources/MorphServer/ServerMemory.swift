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
    /// Bytes that contexts take at most which come while requests are answered, and compressing them.
    public var contexts: Int { scheduler.contextRoom + scheduler.compression }

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
    }

    /// Bytes that the process stays below.
    public var total: Int { scheduler.total + (program ?? 0) + connections + contexts }
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
