internal import CLlama

/// A stream of computation on one device, or on each of the devices that a model's layers are spread over.
///
/// Not Sendable: whoever owns it computes on it from one place at a time.
package final class Backend {
    /// What all devices of a placement have in common.
    private final class Common {
        var pause: (() throws -> Void)?
        var isRehearsal = false
    }

    /// The first layer's.
    package let device: Device
    package let threads: Int
    package let placement: DevicePlacement
    let pointer: ggml_backend_t
    private let common: Common
    private let host: RemoteHost?
    /// Those of ``placement``'s devices behind the first.
    private let others: [Backend]

    /// Called between graphs of a long computation, so that others can compute on backends of their own; what it throws
    /// ends the computation.
    package var pause: (() throws -> Void)? {
        get { common.pause }
        set { common.pause = newValue }
    }
    /// Whether graphs get their memory and are not computed, to find out how much that is.
    package var isRehearsal: Bool {
        get { common.isRehearsal }
        set { common.isRehearsal = newValue }
    }

    /// Opens a device.
    ///
    /// - Parameter threads: CPU threads, 1 to 512 (ggml's limit); other devices ignore it.
    package convenience init(_ device: Device, threads: Int) throws {
        try self.init(DevicePlacement(device), threads: threads)
    }

    /// Opens the devices of a placement.
    package convenience init(_ placement: DevicePlacement, threads: Int) throws {
        let common = Common()
        let others = try placement.devices.dropFirst().map {
            try Backend(DevicePlacement($0), threads, common, others: [])
        }
        try self.init(placement, threads, common, others: others)
    }

    private init(_ placement: DevicePlacement, _ threads: Int, _ common: Common, others: [Backend]) throws {
        let device = placement.devices[0]
        guard (1...512).contains(threads) else { throw GgmlError(.device, "\(threads) threads: 1 to 512 are possible") }
        host = RemoteHost.of(device)
        if let host, host.isLost { throw device.lost(with: host) }
        guard let pointer = ggml_backend_dev_init(device.pointer, nil) else {
            throw GgmlError(.device, "device \(device.name) could not be opened")
        }
        self.device = device
        self.threads = threads
        self.placement = placement
        self.common = common
        self.others = others
        self.pointer = pointer
        typealias SetThreads = @convention(c) (ggml_backend_t?, Int32) -> Void
        let registry = ggml_backend_dev_backend_reg(device.pointer)
        if let function = ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads") {
            unsafeBitCast(function, to: SetThreads.self)(pointer, Int32(clamping: threads))
        }
    }

    /// The device of a layer.
    package func at(_ layer: Int) -> Backend {
        let index = placement.index(of: layer)
        return index == 0 ? self : others[index - 1]
    }

    /// Makes sure that what was computed and read so far is true.
    ///
    /// - Throws: ``GgmlError`` of kind `lost` if a host with one of the devices was lost.
    package func check() throws {
        if let host, host.isLost { throw device.lost(with: host) }
        for other in others { try other.check() }
    }

    deinit { ggml_backend_free(pointer) }

    var bufferType: ggml_backend_buffer_type_t { ggml_backend_dev_buffer_type(device.pointer) }
}
