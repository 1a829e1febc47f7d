#if Server
internal import MorphKV

/// What a pool knows of one of its models.
struct ModelEntry: Sendable {
    /// Where a model is.
    enum State: Sendable {
        case unloaded
        case loading
        case loaded(ServedModel)
        case unloading
        /// What was wrong; it is tried again when it is asked for again.
        case failed(String)

        /// The model, if it is there.
        var model: ServedModel? {
            if case .loaded(let model) = self { model } else { nil }
        }

        var isLoading: Bool {
            if case .loading = self { true } else { false }
        }

        /// Whether it takes no memory.
        var isGone: Bool {
            switch self {
            case .unloaded, .failed: true
            case .loading, .loaded, .unloading: false
            }
        }

        var problem: String? {
            if case .failed(let problem) = self { problem } else { nil }
        }
    }

    /// Why a model is to go when its answers have ended.
    enum Reason: Sendable {
        case asked
        case forOthers
    }

    let file: ModelFile
    var state = State.unloaded
    /// Bytes that it takes at most; nil if its file cannot be read.
    var bytes: Int?
    /// Requests that it answers at present.
    var leases = 0
    /// When it was last asked for something, or last answered.
    var lastUse = ContinuousClock.now
    /// Why it is to go; nil if it may stay. Then no request gets it until it was gone, so that those who need its room are
    /// not kept waiting for ever.
    var leaving: Reason?
    /// Whether somebody will look whether it is idle.
    var isWatched = false
    /// How often it was brought into memory.
    var loads = 0

    init(_ file: ModelFile) { self.file = file }

    var canBeLeased: Bool { state.model != nil && leaving == nil }
    /// 0 if it answers nothing.
    var busyness: Int { leases == 0 ? 0 : 1 }
    var isIdle: Bool { state.model != nil && leases == 0 }

    /// What is said about it.
    var status: ModelStatus {
        switch state {
        case .unloaded: ModelStatus(.unloaded)
        case .loading: ModelStatus(.loading)
        case .loaded: ModelStatus(.loaded)
        case .unloading: ModelStatus(.unloading)
        case .failed(let problem): ModelStatus(failure: problem)
        }
    }
}

/// Keeps a model in memory as long as somebody refers to it.
final class ModelLease: Sendable {
    let model: ServedModel
    private let onEnd: @Sendable () -> Void

    init(_ model: ServedModel, onEnd: @escaping @Sendable () -> Void) {
        self.model = model
        self.onEnd = onEnd
    }

    deinit { onEnd() }
}
#endif
