internal import CLlama
internal import COpenMP
import Synchronization

/// Something ggml can compute on: the CPU, a GPU, or a remote host over RPC.
///
/// Which devices exist depends on the backends that the installed ggml was built with.
public struct Device: Sendable, Hashable, CustomStringConvertible {
    /// What kind of device it is.
    public enum Kind: String, Sendable, Hashable {
        /// The processor and main memory.
        case cpu
        /// A graphics card with its own memory.
        case gpu
        /// A graphics unit that shares main memory.
        case integratedGPU
        /// An accelerator that works beside the CPU (BLAS, AMX, ...).
        case accelerator
    }

    private let handle: UInt

    init(_ device: ggml_backend_dev_t) { handle = UInt(bitPattern: device) }

    // Sound: devices live in ggml's registry until the process ends.
    var pointer: ggml_backend_dev_t { ggml_backend_dev_t(bitPattern: handle)! }

    private static let missing = missing_instruction_set().map { String(cString: $0) }

    private static let loaded: Bool = {
        guard missing == nil else { return false }
        Log.redirect()
        _ = openmp_spin(1000)
        // Distributions ship backends as plug-ins; where they are linked in, this finds nothing.
        ggml_backend_load_all()
        return true
    }()

    /// Every device of the installed ggml and of connected hosts, in ggml's order, but for those that were lost; none where ``cpu()`` says that this processor cannot run it.
    public static var all: [Device] {
        guard loaded else { return [] }
        let lost = Set(RemoteHost.all.filter(\.isLost).flatMap(\.devices))
        return (0..<ggml_backend_dev_count()).compactMap { ggml_backend_dev_get($0).map(Device.init) }
            .filter { !lost.contains($0) }
    }

    /// The processor.
    ///
    /// - Throws: ``GgmlError`` if the installed ggml has no CPU backend, or was compiled for another processor.
    public static func cpu() throws -> Device {
        if let missing {
            throw GgmlError(.device, "ggml was compiled for processors with \(missing), which this one does not have")
        }
        guard let device = all.first(where: { $0.kind == .cpu }) else {
            throw GgmlError(.device, "the installed ggml has no CPU backend")
        }
        return device
    }

    /// The device of that name, in any case.
    ///
    /// - Throws: ``GgmlError`` that lists the devices there are.
    public static func named(_ name: String) throws -> Device {
        if name.lowercased() == "cpu" { return try cpu() }
        _ = try cpu()
        guard let device = all.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            let names = all.map(\.name).joined(separator: ", ")
            throw GgmlError(.device, "there is no device '\(name)'; the installed ggml has: \(names)")
        }
        return device
    }

    /// What `auto` means: all devices of the hosts that were connected to, else all GPUs, else the processor.
    ///
    /// - Throws: ``GgmlError`` if there is none.
    public static func best() throws -> [Device] {
        let cpu = try cpu()
        let remote = RemoteHost.all.filter { !$0.isLost }.flatMap(\.devices)
        if !remote.isEmpty { return remote }
        let graphics = all.filter { $0.kind == .gpu || $0.kind == .integratedGPU }
        return graphics.isEmpty ? [cpu] : graphics
    }

    /// A short name such as "CPU" or "CUDA0".
    public var name: String { String(cString: ggml_backend_dev_name(pointer)) }

    /// The model of the device; for one on another host, where that is.
    public var description: String {
        host?.address ?? String(cString: ggml_backend_dev_description(pointer))
    }

    /// The host that it belongs to; nil if that is this machine.
    public var host: RemoteHost? { RemoteHost.of(self) }

    func lost(with host: RemoteHost) -> GgmlError {
        GgmlError(.lost, "worker \(host.address), which has device \(name), was lost")
    }

    /// Free and total memory in bytes, as the backend reports them; 0 where it does not know.
    public var memory: (free: Int, total: Int) {
        var free = 0
        var total = 0
        ggml_backend_dev_memory(pointer, &free, &total)
        return (free, total)
    }

    /// What kind of device it is.
    public var kind: Kind {
        switch ggml_backend_dev_type(pointer) {
        case GGML_BACKEND_DEVICE_TYPE_CPU: .cpu
        case GGML_BACKEND_DEVICE_TYPE_IGPU: .integratedGPU
        case GGML_BACKEND_DEVICE_TYPE_GPU: .gpu
        default: .accelerator
        }
    }

    /// Whether tensors on this device can lie in memory that the process owns, such as a mapped file.
    package var usesHostMemory: Bool { kind == .cpu }

    /// Whether it has flash attention of one query per head over such keys and values.
    package func canFlashAttend(
        dimension: Int, queryHeads: Int, kvHeads: Int, keys: ElementType, values: ElementType
    ) -> Bool {
        supports { arena in
            let q = arena.tensor(.f32, [dimension, 1, queryHeads])
            let k = arena.tensor(keys, [dimension, 256, kvHeads])
            let v = arena.tensor(values, [dimension, 256, kvHeads])
            let mask = arena.tensor(.f16, [256, 1, queryHeads])
            return ggml_flash_attn_ext(arena.context, q.pointer, k.pointer, v.pointer, mask.pointer, 1, 0, 0)
        }
    }

    /// Whether it can write single rows of this type from 32-bit floats, read them as such, convert those of a prompt, and
    /// copy rows between caches.
    package func canHoldRows(of type: ElementType) -> Bool {
        let writes = supports { arena in
            let target = arena.tensor(type, [256, 4])
            let (row, index) = (arena.tensor(.f32, [256, 1]), arena.tensor(.i32, [1]))
            return ggml_set_rows(arena.context, target.pointer, row.pointer, index.pointer)
        }
        let reads = supports { arena in
            ggml_get_rows(arena.context, arena.tensor(type, [256, 4]).pointer, arena.tensor(.i32, [2]).pointer)
        }
        let converts = supports { arena in
            let byHead = ggml_permute(arena.context, arena.tensor(.f32, [256, 2, 4]).pointer, 0, 2, 1, 3)
            return ggml_cast(arena.context, byHead, type.ggml)
        }
        let copies = supports { arena in
            let (source, target) = (arena.tensor(type, [256, 4, 2]).pointer, arena.tensor(type, [256, 8, 2]).pointer)
            let strides = target.pointee.nb
            let part = ggml_view_3d(arena.context, target, 256, 4, 2, strides.1, strides.2, 0)
            return ggml_cpy(arena.context, source, part)
        }
        return writes && reads && converts && copies
    }

    private func supports(_ describe: (Arena) -> UnsafeMutablePointer<ggml_tensor>?) -> Bool {
        guard let arena = try? Arena(tensors: 8), let operation = describe(arena) else { return false }
        return ggml_backend_dev_supports_op(pointer, operation)
    }

    /// Whether a graph's first run has to go one operation at a time.
    ///
    /// ggml compiles Vulkan's pipelines when they are first needed. Mesa's software driver (seen in 22.3.6) dies of a null
    /// pointer when one is made while another runs; once all of a graph's were made, the graph runs.
    var compilesOneAtATime: Bool { description.contains("llvmpipe") }
}
