#if Server
/// What is done with a model of a folder, as llama-server's router states it.
struct ModelStatus: Encodable, Sendable, Hashable {
    /// Where it is.
    enum Value: String, Encodable, Sendable {
        case unloaded, loading, loaded, unloading, failed
    }

    var value: Value
    /// There, and true, after a failure.
    var failed: Bool?
    /// What went wrong.
    var error: String?

    init(_ value: Value) { self.value = value }

    init(failure: String) { (value, failed, error) = (.failed, true, failure) }
}
#endif
