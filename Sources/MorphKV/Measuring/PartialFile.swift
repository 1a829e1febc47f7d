internal import Foundation
internal import Ggml

/// A file in which unfinished work keeps lists of numbers by name, for a later run of the same work.
struct PartialFile {
    private static let key = "partial.digest"

    private let url: URL
    private let digest: String

    /// - Parameter digest: tells the work apart from other work.
    init(_ url: URL, digest: String) {
        self.url = url
        self.digest = digest
    }

    /// What an earlier run of the same work kept; nothing if there is no such file or it is damaged, for it can be made
    /// again.
    func read() -> [String: [Int32]] {
        guard FileManager.default.fileExists(atPath: url.path), let file = try? GgufFile(contentsOf: url),
            let mapping = try? MappedFile(url), (try? file.checkSeal(mapping)) != nil,
            (try? file.string(Self.key)) == digest
        else { return [:] }
        return file.tensors.filter { $0.key != GgufWriter.seal && $0.value.type == .i32 }.mapValues { tensor in
            Array(
                UnsafeRawBufferPointer(rebasing: mapping.bytes[tensor.offset..<tensor.offset + tensor.bytes])
                    .bindMemory(to: Int32.self))
        }
    }

    /// Replaces the file.
    ///
    /// - Parameter contents: lists that are not empty, by name.
    /// - Throws: `GgmlError` of kind `file`.
    func write(_ contents: [String: [Int32]]) throws {
        let writer = GgufWriter()
        writer.set("general.architecture", "partial")
        writer.set(Self.key, digest)
        for (name, values) in contents.sorted(by: { $0.key < $1.key }) {
            writer.addTensor(name, .i32, [values.count])
        }
        try writer.write(to: url, isSealed: true) { name, write in try contents[name]!.withUnsafeBytes(write) }
    }
}
