internal import CLlama
internal import CRelay
import Synchronization

/// Another machine, or another process, that offers its devices: a `morphkv worker`, or any server of the same ggml's RPC.
///
/// All that is said to it goes through a relay of this process: it counts the bytes, and when the worker goes it stands in for it,
/// because ggml would end the process. What is computed on the devices of a lost host fails with a ``GgmlError``; the host does
/// not come back while the process lives.
public final class RemoteHost: Sendable {
    /// Where it is: `host:port`.
    public let address: String
    /// Its devices, in its order.
    public let devices: [Device]
    private let relay: UInt

    /// Bytes that crossed the network.
    public struct Traffic: Sendable, Hashable {
        /// To the host.
        public var sent: Int
        /// From the host.
        public var received: Int

        /// Both together.
        public var bytes: Int { sent + received }
    }

    private static let known = Mutex<[RemoteHost]>([])

    /// Every host that was connected to.
    public static var all: [RemoteHost] { known.withLock(\.self) }

    /// Connects to a host, once in a process; its devices are in ``Device/all`` from then on.
    ///
    /// - Parameter address: `host:port`; an address of IPv6 in brackets.
    /// - Throws: ``GgmlError`` of kind `device` within ten seconds if it is not an address, or nobody answers there who speaks this
    ///   version of ggml's protocol.
    public static func connect(_ address: String) throws -> RemoteHost {
        _ = try Device.cpu()
        return try known.withLock { known in
            if let host = known.first(where: { $0.address == address }) { return host }
            let host = try RemoteHost(address)
            known.append(host)
            return host
        }
    }

    private init(_ address: String) throws {
        let (name, port) = try Self.parts(of: address)
        guard Int(RPC_PROTO_MAJOR_VERSION) == relay_protocol, let add = Self.addServer else {
            throw GgmlError(.device, "the installed ggml has no RPC of version \(relay_protocol): no workers")
        }
        var reason = [CChar](repeating: 0, count: 256)
        guard let relay = relay_open(name, port, &reason, reason.count) else {
            let why = reason.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            throw GgmlError(.device, "worker \(address) cannot be used: \(why)")
        }
        self.address = address
        self.relay = UInt(bitPattern: relay)
        guard let registry = add("127.0.0.1:\(relay_port(relay))") else {
            throw GgmlError(.device, "worker \(address) offers no device")
        }
        ggml_backend_register(registry)
        devices = (0..<ggml_backend_reg_dev_count(registry)).compactMap {
            ggml_backend_reg_dev_get(registry, $0).map(Device.init)
        }
        // ggml ends the connection when nothing uses it; this does, as long as the process lives.
        _ = devices.first.map { ggml_backend_dev_init($0.pointer, nil) }
    }

    /// Whether it went away.
    public var isLost: Bool { relay_is_lost(OpaquePointer(bitPattern: relay)) }

    /// Bytes that crossed the network so far, as TCP carries them.
    public var traffic: Traffic {
        var (sent, received): (UInt64, UInt64) = (0, 0)
        relay_bytes(OpaquePointer(bitPattern: relay), &sent, &received)
        return Traffic(sent: Int(sent), received: Int(received))
    }

    /// Bytes to and from all hosts so far.
    public static var traffic: Traffic {
        all.map(\.traffic).reduce(Traffic(sent: 0, received: 0)) {
            Traffic(sent: $0.sent + $1.sent, received: $0.received + $1.received)
        }
    }

    /// The host that a device belongs to; nil if that is this machine.
    static func of(_ device: Device) -> RemoteHost? {
        known.withLock { $0.first { $0.devices.contains(device) } }
    }

    private static func parts(of address: String) throws -> (host: String, port: String) {
        let pattern = /\[([^\]]+)\]:([0-9]+)|([^:\[\]]+):([0-9]+)/
        guard let match = address.wholeMatch(of: pattern)?.output, let port = match.2 ?? match.4,
            let number = Int(port), (1...65535).contains(number), let host = match.1 ?? match.3
        else {
            throw GgmlError(.device, "'\(address)' is no address of a worker: host:port is needed")
        }
        return (String(host), String(port))
    }

    /// ggml's function, where it was built with RPC.
    private static var addServer: ((String) -> ggml_backend_reg_t?)? {
        typealias Add = @convention(c) (UnsafePointer<CChar>?) -> ggml_backend_reg_t?
        guard let registry = ggml_backend_reg_by_name("RPC"),
            let function = ggml_backend_reg_get_proc_address(registry, "ggml_backend_rpc_add_server")
        else { return nil }
        return { unsafeBitCast(function, to: Add.self)($0) }
    }
}

/// Offers devices of this machine to others.
public enum DeviceServer {
    /// Offers devices until the process ends; one program at a time uses them.
    ///
    /// - Parameters:
    ///   - devices: at least one.
    ///   - host: the address to listen on, in numbers of IPv4.
    ///   - port: 1 to 65535.
    ///   - threads: of the CPU, if it is one of them.
    /// - Throws: ``GgmlError`` of kind `device` when it cannot listen there.
    public static func run(_ devices: [Device], host: String, port: Int, threads: Int) throws {
        typealias Start =
            @convention(c) (
                UnsafePointer<CChar>?, UnsafePointer<CChar>?, Int, Int, UnsafeMutablePointer<ggml_backend_dev_t?>?
            ) -> Void
        guard let registry = ggml_backend_reg_by_name("RPC"),
            let function = ggml_backend_reg_get_proc_address(registry, "ggml_backend_rpc_start_server")
        else { throw GgmlError(.device, "the installed ggml has no RPC: it cannot be a worker") }
        var pointers: [ggml_backend_dev_t?] = devices.map(\.pointer)
        unsafeBitCast(function, to: Start.self)("\(host):\(port)", nil, threads, pointers.count, &pointers)
        // It returns only if it cannot go on.
        throw GgmlError(.device, "\(host):\(port) cannot be listened on")
    }
}
