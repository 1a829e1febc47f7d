package import Foundation
package import MorphKV

extension Model {
    private static let beginning = 64 << 10
    private static let samples = 64
    private static let sampleLength = 2 << 10

    /// What result files and kept answers of judges state of a model, 16 hexadecimal digits: a digest of the file's size,
    /// of its beginning, which holds the shape, the vocabulary and the chat template, and of parts of the weights from
    /// everywhere.
    ///
    /// It is not ``MorphKV/Model/fingerprint``, which saved caches state: that one looks at shape and weights only, so it
    /// does not change with the chat template, and an answer does. Both are written in files of before, which have to be
    /// continued and read, so neither can take the other's place.
    ///
    /// - Throws: ``EvaluationError`` of kind `file` if it cannot be read.
    package static func fileDigest(of url: URL) throws -> String {
        do {
            let file = try FileHandle(forReadingFrom: url)
            let size = try file.seekToEnd()
            var bytes = Array("\(size) ".utf8)
            func add(_ offset: UInt64, _ count: Int) throws {
                try file.seek(toOffset: offset)
                bytes += try file.read(upToCount: count) ?? Data()
            }
            try add(0, beginning)
            let last = size - min(size, UInt64(sampleLength))
            for sample in 1...samples { try add(last / UInt64(samples) * UInt64(sample), sampleLength) }
            return String(SHA256.hexadecimal(of: bytes).prefix(16))
        } catch {
            throw EvaluationError(.file, file: url, "it cannot be read")
        }
    }
}
