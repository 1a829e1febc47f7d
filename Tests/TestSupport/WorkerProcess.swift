import Foundation

/// A `morphkv worker` that runs as long as a test.
package final class WorkerProcess: Sendable {
    private let process = Process()
    /// Where it listens, on 127.0.0.1.
    package let port: Int
    package var address: String { "127.0.0.1:\(port)" }
    package var processIdentifier: Int32 { process.processIdentifier }

    /// Starts a worker and waits until it listens.
    ///
    /// - Parameters:
    ///   - port: a free one if nil.
    ///   - arguments: more of them.
    ///   - shell: commands of `sh` that come before the command, in the same process.
    package init(_ arguments: [String] = [], port: Int? = nil, shell: String = ":") throws {
        self.port = try port ?? FreePort.find()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments =
            [
                "-c", "\(shell); exec \"$0\" \"$@\"", BuiltCommand.url.path, "worker", "--port", "\(self.port)",
                "--threads",
                "1",
            ]
            + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        for _ in 0..<6000 where process.isRunning {
            if FreePort.answers(self.port) { return }
            usleep(10_000)
        }
        throw Timeout(description: "the worker does not listen on port \(self.port)")
    }

    deinit { kill() }

    /// Kilobytes of addresses that it had in use at most, on Linux.
    package func mostAddresses() throws -> Int? {
        let text = try String(contentsOfFile: "/proc/\(processIdentifier)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmPeak:") }
        return line.flatMap { Int($0.filter(\.isNumber)) }
    }

    /// Ends it at once, as the system does when memory is short.
    package func kill() {
        guard process.isRunning else { return }
        _ = Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// Ports of 127.0.0.1.
package enum FreePort {
    /// One that nobody uses.
    package static func find() throws -> Int {
        let listener = try Listener()
        return listener.port
    }

    /// Whether somebody listens there.
    package static func answers(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, streams, 0)
        defer { close(descriptor) }
        return withAddress(port) { connect(descriptor, $0, $1) == 0 }
    }

    /// Somebody who listens and says nothing.
    package final class Listener: Sendable {
        package let port: Int
        private let descriptor: Int32

        package init() throws {
            let descriptor = socket(AF_INET, streams, 0)
            self.descriptor = descriptor
            guard withAddress(0, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 4) == 0 else {
                throw Timeout(description: "there is no free port")
            }
            var address = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &address) { address in
                address.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
            }
            port = Int(UInt16(bigEndian: address.sin_port))
        }

        deinit { close(descriptor) }
    }

    #if canImport(Glibc)
    private static let streams = Int32(SOCK_STREAM.rawValue)
    #else
    private static let streams = SOCK_STREAM
    #endif

    private static func withAddress<T>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
