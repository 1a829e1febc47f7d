internal import CAttention
internal import Foundation

/// How fast the machine reads memory with a number of threads, in bytes a second: the best of some passes over more
/// memory than any cache holds.
func readBandwidth(threads: Int) -> Double {
    let count = (256 << 20) / 8
    let memory = [UInt64](repeating: 1, count: count * threads)
    let passes = (0..<5).map { _ in
        seconds {
            memory.withUnsafeBufferPointer { buffer in
                // Sound: threads only read, and all have ended when the group is done.
                nonisolated(unsafe) let base = buffer.baseAddress!
                let done = DispatchGroup()
                for thread in 0..<threads {
                    done.enter()
                    Thread.detachNewThread {
                        precondition(attention_read(base + thread * count, count) == UInt64(count))
                        done.leave()
                    }
                }
                done.wait()
            }
        }
    }
    return Double(count * threads * 8) / passes.min()!
}
