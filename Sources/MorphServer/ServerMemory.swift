#if Server
public import MorphKV
internal import Synchronization

/// The memory of a serving process: what it holds from its start on, and what requests may add.
public struct ServerMemory: Sendable, Hashable {
    /// Bytes that a connection takes at most besides the bodies of large requests: buffers, tasks, an answer's events.
    static let perConnection = 64 << 10
    /// Reading and decoding one body takes that many times its bytes.
    static let bodyFactor = 8

    /// What the scheduler of the one model holds; nil where models come and go.
    public let scheduler: ServingMemory?
    /// What the models of a folder take; nil where there is one only.
    public let models: FolderMemory?
    /// Bytes of everything else that is resident by now: code, libraries, tables of the runtime; nil where the system
    /// does not say.
    public let program: Int?
    /// Bytes that connections and requests take at most, on top.
    public let connections: Int
    /// Bytes that grammars, chat templates and what takes answers apart take at most, on top; nil where that has no limit, because
    /// the program has memory management of its own.
    public let grammars: Int?
    /// Bytes that contexts take at most which come while requests are answered, and compressing them.
    public var contexts: Int { scheduler.map { $0.contextRoom + $0.compression } ?? 0 }

    /// - Parameter figures: of the process, after its first answer.
    init(_ scheduler: Scheduler, _ configuration: ServerConfiguration, _ figures: ProcessFigures?) {
        self.scheduler = scheduler.memory
        models = nil
        let computed = scheduler.memory.isHost ? scheduler.memory.total : 0
        program = figures.map { max(0, $0.residentBytes - computed) }
        connections =
            Self.connections(configuration) + scheduler.memory.requests
            + Self.savedSlot(configuration, scheduler.memory.cachePerSequence)
        grammars = Self.grammars(configuration).map { $0 + Self.grammars(of: scheduler.options.parallel) }
    }

    /// - Parameters:
    ///   - limit: bytes that the process is to stay below; as many as the largest model needs if nil.
    ///   - figures: of the process, after a model was there and is gone.
    init(
        _ models: [FolderMemory.Entry], limit: Int?, _ configuration: ServerConfiguration, _ figures: ProcessFigures?
    ) {
        scheduler = nil
        program = figures.map { $0.residentBytes + Self.remains }
        // Bodies may wait for their models, and one at a time is searched for the model's name.
        connections = Self.connections(configuration) + 5 * configuration.maxBodyBytes
        grammars = Self.grammars(configuration)
        let fixed = (program ?? 0) + connections + (grammars ?? 0)
        let room = limit.map { max(0, $0 - fixed) } ?? models.compactMap(\.bytes).max() ?? 0
        self.models = FolderMemory(models: models, room: room)
    }

    /// Bytes of code that other models need, and of free memory between what is in use.
    private static let remains = 16 << 20

    private static func connections(_ configuration: ServerConfiguration) -> Int {
        configuration.maxConnections * perConnection + configuration.maxBodyBytes * bodyFactor
            + configuration.streamBytes
    }

    /// Bytes that saving and restoring slots takes: a saved one is mapped while it is read, and written in blocks.
    static func savedSlot(_ configuration: ServerConfiguration, _ cacheBytes: Int) -> Int {
        configuration.slotFolder == nil ? 0 : cacheBytes + (8 << 20)
    }

    /// What ``GrammarBudget`` gives out, and what is needed to read a template or a grammar and, beside that, an answer.
    private static func grammars(_ configuration: ServerConfiguration) -> Int? {
        guard Grammar.isAvailable else { return 0 }
        guard CommonLimits.hold else { return nil }
        return configuration.maxGrammarBytes + 2 * CommonLimits.work
            + configuration.maxTemplateBytes * CommonLimits.inputFactor
    }

    /// What grammars and parsers of so many running answers grow by.
    package static func grammars(of answers: Int) -> Int {
        Grammar.isAvailable && CommonLimits.hold ? answers * 2 * CommonLimits.growth : 0
    }

    /// Bytes that the process stays below.
    public var total: Int {
        (scheduler?.total ?? 0) + (models?.room ?? 0) + (program ?? 0) + connections + (grammars ?? 0) + contexts
    }
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
