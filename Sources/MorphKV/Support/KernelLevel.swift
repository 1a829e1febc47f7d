internal import CAttention
internal import Foundation

/// Which instructions the kernel uses.
enum KernelLevel {
    static let names = [
        "plain": ATTENTION_PLAIN, "avx2": ATTENTION_AVX2, "avxvnni": ATTENTION_AVX_VNNI, "avx512": ATTENTION_AVX512,
        "vnni": ATTENTION_VNNI,
    ]

    /// What the environment variable MORPHKV_KERNEL asks for, else the best that the machine has.
    ///
    /// - Throws: ``CacheError`` of kind `attention` when the machine cannot do it.
    static func current() throws -> attention_level {
        guard let name = ProcessInfo.processInfo.environment["MORPHKV_KERNEL"] else { return attention_best_level() }
        guard let level = names[name], attention_can_run(level) else {
            let possible = names.filter { attention_can_run($0.value) }.keys.sorted().joined(separator: ", ")
            throw CacheError(.attention, "MORPHKV_KERNEL is '\(name)'; this machine can do \(possible)")
        }
        return level
    }
}
