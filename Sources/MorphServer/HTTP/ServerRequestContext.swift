#if Server
internal import Hummingbird
internal import NIOCore

/// What goes with a request: the connection that it came on, and who asks.
struct ServerRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// The key that it came with; empty on a server without keys.
    var key = ""
    /// By which name its answer is kept, if it is streamed; nil for not at all.
    var streamName: KeptAnswers.Name?
    /// Its wait for the model, which ends as its answer begins.
    var wait: KeptAnswers.Ticket?
    /// What is needed until its answer is over.
    var lease: ModelLease?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
#endif
