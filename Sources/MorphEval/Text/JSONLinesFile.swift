package import Foundation

/// A file of JSON objects, one a line, that grows line by line and may be interrupted at any moment.
///
/// A line is written in one piece and reaches the disk before ``append(_:)`` returns. What a process that was killed
/// left behind is repaired when the file is opened again. One process at a time holds the file.
package final class JSONLinesFile {
    /// The file.
    package let url: URL
    /// What the file held when it was opened.
    package let records: [JSONRecord]
    private let descriptor: Int32
    private var length: Int

    /// Opens a file, or creates it.
    ///
    /// - Parameters:
    ///   - url: The file.
    ///   - lineStart: What every line of such a file begins with, so that no file of another kind is cut.
    ///   - check: Looks at what the file holds before anything is changed.
    /// - Throws: ``EvaluationError`` if the file cannot be opened, another process holds it, or it is of another kind.
    package init(_ url: URL, lineStart: String, check: ([JSONRecord]) throws -> Void = { _ in }) throws {
        self.url = url
        descriptor = open(url.path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.error(url, "it cannot be opened for writing") }
        do {
            // A file system without locks has none to respect.
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
                throw EvaluationError(.file, file: url, "another process is writing to it")
            }
            let content = try Self.content(of: descriptor, url)
            let repair = LineRepair(content, lineStart: lineStart)
            guard repair != .foreign else {
                throw EvaluationError(.format, file: url, "it is not a file that this program began; it stays as it is")
            }
            let kept = content.prefix(repair.keptBytes(of: content))
            records = try DataFile(url, bytes: kept).lines()
            try check(records)
            length = kept.count
            try Self.truncate(descriptor, to: length, url)
            if repair == .unclosed { try write("\n") }
        } catch {
            Self.release(descriptor)
            throw error
        }
    }

    deinit { Self.release(descriptor) }

    private static func release(_ descriptor: Int32) {
        // A child process may have been started just now and still have the descriptor; the lock must not stay with it.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Adds a line and waits until it is on the disk.
    ///
    /// - Throws: ``EvaluationError`` of kind `file`, for instance when the disk is full; the file is as before then.
    package func append(_ value: JSONValue) throws { try write(value.line + "\n") }

    private func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        // One call writes the whole line, unless there is no room for it; then another call says why.
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress! + written, bytes.count - written)
            }
            guard count > 0 || (count < 0 && errno == EINTR) else {
                let error = Self.error(url, "a line cannot be written")
                try Self.truncate(descriptor, to: length, url)
                throw error
            }
            written += max(count, 0)
        }
        // Devices and pipes cannot be synchronized; files can, and say when the disk is full.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw Self.error(url, "a line cannot be saved") }
        length += bytes.count
    }

    /// What the file holds; devices and pipes hold nothing.
    private static func content(of descriptor: Int32, _ url: URL) throws -> Data {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw error(url, "it cannot be read") }
        guard status.st_mode & S_IFMT == S_IFREG else { return Data() }
        do {
            return try Data(contentsOf: url)
        } catch {
            throw EvaluationError(.file, file: url, "it cannot be read")
        }
    }

    private static func truncate(_ descriptor: Int32, to length: Int, _ url: URL) throws {
        guard ftruncate(descriptor, off_t(length)) == 0 || errno == EINVAL else {
            throw error(url, "it cannot be shortened")
        }
    }

    private static func error(_ url: URL, _ problem: String) -> EvaluationError {
        EvaluationError(.file, file: url, "\(problem): \(String(cString: strerror(errno)))")
    }
}

/// What has to be done to the end of a file of JSON lines whose writer may have been killed.
enum LineRepair: Hashable {
    /// Every line ends with a newline.
    case intact
    /// The last line is whole and lacks only its newline.
    case unclosed
    /// The last line was torn off; these many bytes before it are whole lines.
    case torn(keep: Int)
    /// What stands at the end is not the beginning of a line of this kind.
    case foreign

    init(_ content: Data, lineStart: String) {
        let newline = content.lastIndex(of: UInt8(ascii: "\n"))
        let end = newline.map { $0 + 1 } ?? content.startIndex
        let tail = content[end...]
        let begins = tail.prefix(lineStart.utf8.count).elementsEqual(lineStart.utf8.prefix(tail.count))
        // A disk that lost power may have reserved the bytes of a line without having written them.
        let isBlank = tail.allSatisfy { $0 == 0 }
        if tail.isEmpty {
            self = .intact
        } else if !begins, !isBlank {
            self = .foreign
        } else if begins, Self.isObject(tail) {
            self = .unclosed
        } else {
            self = .torn(keep: end - content.startIndex)
        }
    }

    func keptBytes(of content: Data) -> Int {
        guard case .torn(let count) = self else { return content.count }
        return count
    }

    /// Whether bytes are a whole JSON object; no beginning of one is.
    private static func isObject(_ bytes: Data) -> Bool {
        let value = bytes.withUnsafeBytes { buffer in try? JSONParser.parse(buffer.bindMemory(to: UInt8.self)) }
        return value?.members != nil
    }
}
