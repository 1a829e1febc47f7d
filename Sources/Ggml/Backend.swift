internal import CLlama

/// A stream of computation on one device.
///
/// Not Sendable: whoever owns it computes on it from one place at a time.
package final class Backend {
    package let device: Device
    package let threads: Int
    let pointer: ggml_backend_t
    /// Called between graphs of a long computation, so that others can compute on backends of their own; what it throws
    /// ends the computation.
    package var pause: (() throws -> Void)?
    /// Whether graphs get their memory and are not computed, to find out how much that is.
    package var isRehearsal = false

    /// Opens a device.
    ///
    /// - Parameter threads: CPU threads, 1 to 512 (ggml's limit); other devices ignore it.
    package init(_ device: Device, threads: Int) throws {
        guard (1...512).contains(threads) else { throw GgmlError(.device, "\(threads) threads: 1 to 512 are possible") }
        guard let pointer = ggml_backend_dev_init(device.pointer, nil) else {
            throw GgmlError(.device, "device \(device.name) could not be opened")
        }
        self.device = device
        self.threads = threads
        self.pointer = pointer
        typealias SetThreads = @convention(c) (ggml_backend_t?, Int32) -> Void
        let registry = ggml_backend_dev_backend_reg(device.pointer)
        if let function = ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads") {
            unsafeBitCast(function, to: SetThreads.self)(pointer, Int32(clamping: threads))
        }
    }

    deinit { ggml_backend_free(pointer) }

    var bufferType: ggml_backend_buffer_type_t { ggml_backend_dev_buffer_type(device.pointer) }
}
