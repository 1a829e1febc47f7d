#if Server
internal import MorphKV
internal import NIOCore
internal import NIOPosix

/// Requests that the server sends to itself, so that everything that first requests make the process load is there
/// before its memory is announced.
struct WarmUpRequests {
    let address: SocketAddress
    /// A key that the server accepts, if it wants one.
    let key: String?

    /// Asks for a few tokens and for the metrics, and reads the answers.
    ///
    /// - Throws: what went wrong with the connection.
    func run() async throws {
        let body = #"{"messages":[{"role":"user","content":"Hello"}],"max_tokens":8,"stream":true,"logprobs":true}"#
        try await send("POST /v1/chat/completions", "Content-Type: application/json\r\n", body)
        if Grammar.isAvailable {
            let form = #"{"prompt":"Hello","max_tokens":2,"grammar":"root ::= [a-z]+"}"#
            try await send("POST /v1/completions", "Content-Type: application/json\r\n", form)
        }
        try await send("GET /metrics", "", "")
    }

    private func send(_ target: String, _ headers: String, _ body: String) async throws {
        let channel = try await ClientBootstrap(group: NIOSingletons.posixEventLoopGroup).connect(to: address) {
            $0.eventLoop.makeCompletedFuture(
                withResultOf: { [channel = $0] in
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                })
        }
        let authorization = key.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        let request = """
            \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(authorization)\(headers)\
            Content-Length: \(body.utf8.count)\r\n\r\n\(body)
            """
        try await channel.executeThenClose { input, output in
            try await output.write(ByteBuffer(string: request))
            for try await _ in input {}
        }
    }
}
#endif
