internal import ArgumentParser
internal import Ggml

/// Where a model is computed.
struct DeviceFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where to compute: a device as `morphkv inspect` lists them, several with commas between them, among which the "
                + "layers are spread, or auto for the best there is (default: the workers' devices if there are workers, "
                + "else cpu)."))
    var device: String?

    @Option(help: "The devices' shares of the layers, such as 3,1 (default: in proportion to their free memory).")
    var split: String?

    @Option(
        help: ArgumentHelp(
            "Machines whose devices are used too: host:port of each `morphkv worker`, with commas between them; their devices are "
                + "called rpc0, rpc1 and so on."))
    var workers: String?

    func validate() throws { _ = try shares() }

    /// Connects to the workers and finds the devices.
    func devices() throws -> [Device] {
        let hosts = try list(workers).map(RemoteHost.connect)
        let names = list(device)
        if names.isEmpty { return try hosts.isEmpty ? [.cpu()] : hosts.flatMap(\.devices) }
        return try names.flatMap { $0.lowercased() == "auto" ? try Device.best() : [try Device.named($0)] }
    }

    /// The devices' shares of the layers; nil if free memory decides.
    func shares() throws -> [Double]? {
        guard let split else { return nil }
        return try list(split).map {
            guard let share = Double($0), share > 0, share.isFinite else {
                throw ValidationError("--split \(split): positive numbers are needed, such as 3,1")
            }
            return share
        }
    }

    private func list(_ text: String?) -> [String] {
        (text ?? "").split(separator: ",").map { String($0.filter { !$0.isWhitespace }) }
    }
}
