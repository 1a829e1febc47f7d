internal import CLlamaCommon

/// What llama.cpp's library `common` takes at most, in bytes, for templates, schemas and grammars of strangers.
package enum CommonLimits {
    /// Whether they hold: not under the address sanitizer, nor in programs with memory management of their own in C++.
    package static var hold: Bool { llama_common_has_limits() }

    /// While something is read or a template is filled in, besides that for its input; the stack is part of it.
    package static let work = Int(LLAMA_COMMON_WORK_BYTES) + Int(LLAMA_COMMON_STACK_BYTES)

    /// So many times the bytes of an input are taken for it.
    package static let inputFactor = Int(LLAMA_COMMON_INPUT_FACTOR)

    /// By which a grammar, or what takes an answer apart, grows.
    package static let growth = Int(LLAMA_COMMON_GROWTH_BYTES)
}
