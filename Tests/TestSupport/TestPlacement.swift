package import Foundation
package import Ggml
package import MorphKV

/// Where the layers of a model lie in tests: on workers in other processes, by themselves or beside the CPU.
package enum TestPlacement: String, Sendable, CaseIterable {
    case worker = "a worker"
    case workers = "two workers with half of the layers each"
    case cpuAndWorker = "the CPU and a worker"

    /// Two workers that all tests share.
    private static let shared: Result<[WorkerProcess], any Error> = Result {
        atexit { for worker in (try? TestPlacement.shared.get()) ?? [] { worker.kill() } }
        return try [WorkerProcess(), WorkerProcess()]
    }

    package static func hosts() throws -> [RemoteHost] { try shared.get().map { try RemoteHost.connect($0.address) } }

    package func devices() throws -> [Device] {
        let remote = try Self.hosts().map { $0.devices[0] }
        return switch self {
        case .worker: [remote[0]]
        case .workers: remote
        case .cpuAndWorker: [try .cpu(), remote[1]]
        }
    }

    package func model(_ url: URL) throws -> Model {
        let devices = try devices()
        // A model with one layer cannot be in two places.
        return try Model(contentsOf: url, devices: devices, split: devices.map { _ in 1 })
    }
}
