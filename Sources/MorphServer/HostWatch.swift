#if Server
internal import Ggml

extension [RemoteHost] {
    /// One that went away; nil if all are there.
    var lost: RemoteHost? { first(where: \.isLost) }

    /// Returns when one has gone away.
    ///
    /// - Throws: `CancellationError` when nobody wants to know any more.
    func untilOneIsLost() async throws -> RemoteHost {
        while true {
            if let lost { return lost }
            try await Task.sleep(for: .milliseconds(250))
        }
    }
}
#endif
