internal import Foundation

/// Pages of 2 MB, of which a processor's tables hold more memory than of the usual ones.
enum HugePages {
    private static let size = 2 << 20

    /// Asks for them where memory will lie; only whole ones inside of it, so that no more becomes resident than there is.
    ///
    /// A wish: systems without them, or with none left, take small ones.
    static func ask(for memory: UnsafeMutableRawPointer, bytes: Int) {
        #if os(Linux)
        let begin = (Int(bitPattern: memory) + size - 1) / size * size
        let end = (Int(bitPattern: memory) + bytes) / size * size
        guard end > begin else { return }
        _ = madvise(UnsafeMutableRawPointer(bitPattern: begin), end - begin, Int32(MADV_HUGEPAGE))
        #endif
    }
}
