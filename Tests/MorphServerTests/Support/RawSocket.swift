#if Server
import Foundation

/// A connection without manners: it sends any bytes, reads or does not, and closes as it likes.
final class RawSocket: Sendable {
    private let descriptor: Int32

    /// - Parameters:
    ///   - receives: bytes that the system takes for it before somebody reads; as many as it likes if nil.
    ///   - seconds: how long it waits for the next bytes.
    init(port: Int, receives: Int32? = nil, seconds: Int = 20) throws {
        #if canImport(Glibc)
        let type = Int32(SOCK_STREAM.rawValue)
        #else
        let type = SOCK_STREAM
        #endif
        descriptor = socket(AF_INET, type, 0)
        if var receives {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receives, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw POSIXError(.ECONNREFUSED) }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends what can be sent.
    func send(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// Says that nothing more will be sent.
    func closeInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// What comes until the other side closes, or until some text has come.
    ///
    /// It waits on a thread of its own, because waiting would take one from everybody else here.
    func read(until end: String? = nil) async -> String {
        await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: self.wait(until: end)) }.start()
        }
    }

    private func wait(until end: String?) -> String {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = recv(descriptor, &part, part.count, 0)
            guard count > 0 else { break }
            all += part.prefix(count)
            if let end, String(decoding: all.suffix(count + end.utf8.count), as: UTF8.self).contains(end) { break }
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// A request for a completion, as bytes.
    static func completion(_ body: String) -> String {
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }
}

extension String {
    /// The text of one of the answers in events that were read from a socket.
    func streamedText(choice index: Int) -> String {
        split(whereSeparator: \.isNewline).filter { $0.hasPrefix("data: {") }.compactMap { line -> String? in
            let event = try? JSONSerialization.jsonObject(with: Data(line.dropFirst(6).utf8)) as? [String: Any]
            let choice = (event?["choices"] as? [[String: Any]])?.first
            return choice?["index"] as? Int == index ? choice?["text"] as? String : nil
        }.joined()
    }
}
#endif
