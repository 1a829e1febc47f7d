package import Foundation

/// A folder that is removed with its contents when the object goes.
package final class TemporaryFolder: Sendable {
    package let url: URL

    /// One for all tests of a process, removed when it ends.
    package static let ofTheRun: TemporaryFolder = {
        guard let folder = try? TemporaryFolder() else { preconditionFailure("there is no temporary folder") }
        atexit { try? FileManager.default.removeItem(at: TemporaryFolder.ofTheRun.url) }
        return folder
    }()

    package init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "morphkv-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The names of all files in it, hidden ones included.
    package var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
    }

    /// The path of a file in it, which need not be there.
    package func path(_ name: String) -> String { url.appending(path: name).path }

    /// Writes a file, with the folders it lies in.
    @discardableResult
    package func write(_ bytes: some Sequence<UInt8>, to path: String) throws -> URL {
        let file = url.appending(path: path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: file)
        return file
    }

    /// Writes a file of text, with the folders it lies in.
    @discardableResult
    package func write(_ text: String, to path: String) throws -> URL { try write(text.utf8, to: path) }
}
