internal import CAttention

/// The memory in which the kernel's threads work, shared by all graphs of a ``FusedBackend`` or a ``PromptKernel``.
final class AttentionWorkspace {
    private let threads: Int
    /// Sound: aligned to 64 bytes, `threads * stride` floats, replaced only between computations.
    private var workspace: UnsafeMutableRawPointer?
    private var stride = 0
    private let barrier: UnsafeMutablePointer<attention_barrier>
    let level: attention_level

    init(threads: Int) throws {
        self.threads = threads
        level = try KernelLevel.current()
        barrier = .allocate(capacity: 1)
        barrier.initialize(to: attention_barrier())
    }

    deinit {
        workspace?.deallocate()
        barrier.deallocate()
    }

    /// Bytes held.
    var bytes: Int { threads * stride * MemoryLayout<Float>.stride }

    /// Makes sure that each thread has so many floats.
    func reserve(_ floats: Int) {
        guard floats > stride else { return }
        workspace?.deallocate()
        stride = (floats + 15) / 16 * 16
        workspace = .allocate(byteCount: bytes, alignment: 64)
    }

    /// Tells the prompt kernel where to work.
    func describe(in prompt: inout attention_prompt) {
        prompt.workspace = workspace!.assumingMemoryBound(to: Float.self)
        prompt.workspace_stride = stride
        prompt.level = level
    }

    /// Describes one layer's work.
    func batch(_ runs: UnsafeMutablePointer<attention_run>, count: Int) -> attention_batch {
        attention_batch(
            runs: runs, run_count: Int32(count), workspace: workspace!.assumingMemoryBound(to: Float.self),
            workspace_stride: stride, barrier: barrier, level: level)
    }
}
