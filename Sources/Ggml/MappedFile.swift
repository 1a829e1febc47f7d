public import Foundation

/// A file mapped into memory for reading; pages come from disk when they are touched and can be dropped again.
///
/// Several files lie one behind the other, each from the start of a page.
public final class MappedFile: @unchecked Sendable {
    // Sound to share: the mapping is read-only and lives as long as the object.
    package let bytes: UnsafeMutableRawBufferPointer

    /// Maps a whole file.
    ///
    /// - Throws: ``GgmlError`` of kind `file`.
    public convenience init(_ url: URL) throws { try self.init([url]) }

    /// Maps whole files.
    ///
    /// - Parameter urls: at least one.
    /// - Throws: ``GgmlError`` of kind `file`.
    package init(_ urls: [URL]) throws {
        let files = try urls.map(OpenFile.init)
        var end = 0
        let starts = files.map { file in
            let start = Self.nextPage(end)
            end = start + file.size
            return start
        }
        guard let memory = mmap(nil, end, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory != MAP_FAILED else {
            throw GgmlError(.memory, "\(urls[0].path) cannot be mapped: \(systemReason)")
        }
        bytes = UnsafeMutableRawBufferPointer(start: memory, count: end)
        for (file, start) in zip(files, starts) { try file.map(to: memory + start) }
    }

    /// Where the next file begins behind that many bytes.
    static func nextPage(_ end: Int) -> Int {
        let page = Int(getpagesize())
        return (end + page - 1) / page * page
    }

    deinit { munmap(bytes.baseAddress, bytes.count) }

    /// Gives the memory of a range back; reading it again reads the file again.
    package func forget(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let first = (range.lowerBound + page - 1) / page * page
        let last = range.upperBound / page * page
        guard last > first else { return }
        madvise(bytes.baseAddress! + first, last - first, MADV_DONTNEED)
    }
}

/// A file as long as it is open.
private final class OpenFile {
    private let path: String
    private let descriptor: Int32
    let size: Int

    init(_ url: URL) throws {
        path = url.path
        // Not blocking: a pipe without a writer would be waited for, for ever.
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw GgmlError(.file, "\(path) cannot be opened: \(systemReason)") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw GgmlError(.file, "\(path) cannot be read: it is not a file")
        }
        size = Int(status.st_size)
        guard size > 0 else {
            close(descriptor)
            throw GgmlError(.file, "\(path) cannot be read: it is empty")
        }
    }

    deinit { close(descriptor) }

    /// Maps the file over reserved memory.
    func map(to address: UnsafeMutableRawPointer) throws {
        guard mmap(address, size, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor, 0) == address else {
            throw GgmlError(.memory, "\(path) cannot be mapped: \(systemReason)")
        }
    }
}

private var systemReason: String { String(cString: strerror(errno)) }
