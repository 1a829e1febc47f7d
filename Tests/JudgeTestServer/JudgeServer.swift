#if Evaluation
public import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// A small OpenAI-compatible server on a local socket whose replies, good and bad, a test decides.
public final class JudgeServer: Sendable {
    /// What came in.
    public struct Request: Sendable, Hashable {
        /// The path of the URL.
        public let path: String
        /// The header that authorizes.
        public let authorization: String?
        /// The body as text.
        public let body: String
    }

    /// What goes out.
    public enum Reply: Sendable {
        /// A chat completion.
        case answer(String)
        /// Any other response.
        case response(status: Int, headers: [String: String] = [:], body: String = "")
        /// Nothing at all, the connection staying open.
        case silence
        /// The connection is closed.
        case hangUp
    }

    private let channel: any Channel
    private let log = RequestLog()

    /// Starts a server.
    ///
    /// - Parameter reply: Decides on each request, the first having the number 0.
    public init(reply: @escaping @Sendable (_ number: Int, _ request: Request) -> Reply) async throws {
        let log = log
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(log: log, reply: reply))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit { channel.close(promise: nil) }

    /// The URL to give to a client.
    public var url: URL { URL(string: "http://127.0.0.1:\(channel.localAddress?.port ?? 0)/v1")! }

    /// The requests so far.
    public var requests: [Request] { log.all }
}

private final class RequestLog: Sendable {
    private let requests = Mutex<[JudgeServer.Request]>([])

    var all: [JudgeServer.Request] { requests.withLock(\.self) }

    func add(_ request: JudgeServer.Request) -> Int {
        requests.withLock {
            $0.append(request)
            return $0.count - 1
        }
    }
}

private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let log: RequestLog
    private let reply: @Sendable (Int, JudgeServer.Request) -> JudgeServer.Reply
    private var head: HTTPRequestHead?
    private var body = ""

    init(log: RequestLog, reply: @escaping @Sendable (Int, JudgeServer.Request) -> JudgeServer.Reply) {
        self.log = log
        self.reply = reply
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = ""
        case .body(let bytes): body += String(buffer: bytes)
        case .end:
            let request = JudgeServer.Request(
                path: head?.uri ?? "", authorization: head?.headers.first(name: "Authorization"), body: body)
            send(reply(log.add(request), request), context)
        }
    }

    private func send(_ reply: JudgeServer.Reply, _ context: ChannelHandlerContext) {
        switch reply {
        case .answer(let text):
            let content = (try? JSONEncoder().encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "null"
            respond(200, [:], #"{"choices": [{"message": {"role": "assistant", "content": \#(content)}}]}"#, context)
        case .response(let status, let headers, let body): respond(status, headers, body, context)
        case .silence: break
        case .hangUp: context.close(promise: nil)
        }
    }

    private func respond(_ status: Int, _ headers: [String: String], _ body: String, _ context: ChannelHandlerContext) {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
        head.headers.add(name: "Content-Length", value: String(body.utf8.count))
        for (name, value) in headers { head.headers.add(name: name, value: value) }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
#endif
