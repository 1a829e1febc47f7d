#if Server
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Closes connections whose client is too slow, and tells ``Connections`` when one is closed.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long a client may take for each part of an exchange.
    struct Limits: Sendable {
        let header: TimeAmount
        let body: TimeAmount
        let idle: TimeAmount
        let write: TimeAmount
        let halfClosed: TimeAmount
        /// For taking the last response, when the connection is closed after it.
        let linger: TimeAmount = .seconds(2)

        init(_ configuration: ServerConfiguration) {
            header = TimeAmount(configuration.headerTime)
            body = TimeAmount(configuration.bodyTime)
            idle = TimeAmount(configuration.idleTime)
            write = TimeAmount(configuration.writeTime)
            halfClosed = TimeAmount(configuration.halfClosedTime)
        }
    }

    private let limits: Limits
    private let connections: Connections
    private var readTimer: Scheduled<Void>?
    private var writeTimer: Scheduled<Void>?
    private var isAnswered = true
    private var hasHead = false
    private var isInputClosed = false
    private var closesAfterResponse = false

    init(_ limits: Limits, _ connections: Connections) {
        self.limits = limits
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    private func start(_ context: ChannelHandlerContext) {
        guard readTimer == nil else { return }
        // Up to four parts of a body that is not read yet are held here, so they must be small.
        _ = context.channel.setOption(
            .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 2048, maximum: 16 << 10))
        readTimer = closing(context, in: limits.header)
    }

    func channelInactive(context: ChannelHandlerContext) {
        readTimer?.cancel()
        writeTimer?.cancel()
        connections.closed(context.channel)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What comes after the last response is not answered.
        if isAnswered, closesAfterResponse { return }
        switch unwrapInboundIn(data) {
        case .head:
            (isAnswered, hasHead) = (false, false)
            restartReadTimer(context, limits.body)
        case .body: break
        case .end:
            readTimer?.cancel()
            readTimer = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            hasHead = head.status.code >= 200
            closesAfterResponse = head.headerFields[.connection] == "close"
        case .body: break
        case .end:
            isAnswered = true
            restartReadTimer(context, closesAfterResponse || isInputClosed ? limits.linger : limits.idle)
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        writeTimer = context.channel.isWritable ? nil : closing(context, in: limits.write)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            isInputClosed = true
            // While an answer is being sent, a failing write shows that the client is gone.
            if !isAnswered, !hasHead { restartReadTimer(context, limits.halfClosed, unlessAnswering: true) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func restartReadTimer(
        _ context: ChannelHandlerContext, _ time: TimeAmount, unlessAnswering: Bool = false
    ) {
        readTimer?.cancel()
        readTimer = closing(context, in: time, unlessAnswering: unlessAnswering)
    }

    private func closing(
        _ context: ChannelHandlerContext, in time: TimeAmount, unlessAnswering: Bool = false
    ) -> Scheduled<Void> {
        context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            if unlessAnswering, self.hasHead { return }
            context.close(promise: nil)
        }
    }
}
#endif
