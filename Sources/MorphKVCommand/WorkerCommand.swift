internal import ArgumentParser
internal import Foundation
internal import Ggml

struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Offers this machine's devices to morphkv on other machines, by ggml's RPC.",
        discussion: """
            Other commands use them with --workers host:port. One program at a time uses a worker; others that come meanwhile are \
            refused. ggml's RPC knows no passwords and trusts whoever it talks to: leave the worker on the loopback address and \
            reach it through a tunnel (docs/devices.md).
            """)

    @Option(help: "The address to listen on, in numbers; others than this machine's own need --insecure.")
    var host = "127.0.0.1"

    @Option(help: "The port.")
    var port = 50052

    @Option(
        help: "The devices to offer, with commas between them, as `morphkv inspect` lists them, or auto for the best.")
    var device = "auto"

    @OptionGroup var threadFlags: ThreadFlags

    @Flag(help: "Let everybody in who can reach the address.")
    var insecure = false

    func validate() throws {
        guard (1...65535).contains(port) else { throw ValidationError("port \(port): 1 to 65535 are possible") }
        var address = in_addr()
        guard inet_pton(AF_INET, host, &address) == 1 else {
            throw ValidationError("\(host) is no address in numbers, such as 127.0.0.1")
        }
        guard host.hasPrefix("127.") || insecure else {
            throw ValidationError(
                "\(host) can be reached from other machines, and a worker trusts everybody: use a tunnel (docs/devices.md), or "
                    + "--insecure in a network where nobody else is")
        }
    }

    func run() throws {
        let names = device.split(separator: ",").map(String.init)
        let devices = try names.flatMap { $0.lowercased() == "auto" ? try Device.best() : [try Device.named($0)] }
        guard !devices.isEmpty else { throw ValidationError("--device names no device") }
        for device in devices { try DeviceCheck.run(device) }
        try DeviceServer.run(devices, host: host, port: port, threads: threadFlags.count)
    }
}
