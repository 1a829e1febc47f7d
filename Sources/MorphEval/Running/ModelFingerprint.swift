package import Foundation

/// A digest of a model file that tells models apart without reading all of it: its size, its beginning, which holds the
/// shape and the vocabulary, and pieces of the weights from everywhere.
package enum ModelFingerprint {
    private static let beginning = 64 << 10
    private static let pieces = 64
    private static let pieceLength = 2 << 10

    /// The digest of a file, 16 hexadecimal digits.
    ///
    /// - Throws: ``EvaluationError`` of kind `file` if it cannot be read.
    package static func of(_ url: URL) throws -> String {
        do {
            let file = try FileHandle(forReadingFrom: url)
            let size = try file.seekToEnd()
            var bytes = Array("\(size) ".utf8)
            func add(_ offset: UInt64, _ count: Int) throws {
                try file.seek(toOffset: offset)
                bytes += try file.read(upToCount: count) ?? Data()
            }
            try add(0, beginning)
            let last = size - min(size, UInt64(pieceLength))
            for piece in 1...pieces { try add(last / UInt64(pieces) * UInt64(piece), pieceLength) }
            return String(SHA256.hexadecimal(of: bytes).prefix(16))
        } catch {
            throw EvaluationError(.file, file: url, "it cannot be read")
        }
    }
}
