package import Foundation

/// A file that replaces its predecessor only when it is whole and on disk.
package final class AtomicFile {
    private let url: URL
    private let temporary: URL
    private let handle: FileHandle
    private var isCommitted = false
    package private(set) var bytesWritten = 0
    /// Of all bytes written.
    package private(set) var checksum = Checksum()

    package init(_ url: URL) throws {
        self.url = url
        temporary = url.deletingLastPathComponent()
            .appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString.prefix(8)).part")
        guard FileManager.default.createFile(atPath: temporary.path, contents: nil),
            let handle = FileHandle(forWritingAtPath: temporary.path)
        else { throw GgmlError(.file, "\(url.path) cannot be written: \(String(cString: strerror(errno)))") }
        self.handle = handle
    }

    deinit {
        try? handle.close()
        if !isCommitted { try? FileManager.default.removeItem(at: temporary) }
    }

    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = Foundation.write(handle.fileDescriptor, piece.baseAddress, min(piece.count, 1 << 30))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw GgmlError(
                    .file, "writing \(url.path) failed after \(bytesWritten) bytes: \(String(cString: strerror(errno)))"
                )
            }
            rest = rest.dropFirst(count)
            bytesWritten += count
        }
        checksum.add(bytes)
    }

    /// Forces the content to disk and gives the file its name.
    package func commit() throws {
        guard fsync(handle.fileDescriptor) == 0, rename(temporary.path, url.path) == 0 else {
            throw GgmlError(.file, "\(url.path) cannot be completed: \(String(cString: strerror(errno)))")
        }
        isCommitted = true
        // The name is on disk only when the folder is.
        let folder = open(url.deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }
}
