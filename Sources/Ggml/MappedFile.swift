public import Foundation

/// A file mapped into memory for reading; pages come from disk when they are touched and can be dropped again.
public final class MappedFile: @unchecked Sendable {
    // Sound to share: the mapping is read-only and lives as long as the object.
    package let bytes: UnsafeMutableRawBufferPointer

    /// Maps a whole file.
    ///
    /// - Throws: ``GgmlError`` of kind `file`.
    public init(_ url: URL) throws {
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw GgmlError(.file, "\(url.path) cannot be opened: \(Self.reason)") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 else {
            throw GgmlError(.file, "\(url.path) is empty or cannot be read")
        }
        let size = Int(status.st_size)
        guard let memory = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), memory != MAP_FAILED else {
            throw GgmlError(.memory, "\(url.path) cannot be mapped: \(Self.reason)")
        }
        bytes = UnsafeMutableRawBufferPointer(start: memory, count: size)
    }

    deinit { munmap(bytes.baseAddress, bytes.count) }

    private static var reason: String { String(cString: strerror(errno)) }

    /// Gives the memory of a range back; reading it again reads the file again.
    package func forget(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let first = (range.lowerBound + page - 1) / page * page
        let last = range.upperBound / page * page
        guard last > first else { return }
        madvise(bytes.baseAddress! + first, last - first, MADV_DONTNEED)
    }
}
