internal import Foundation

/// Finds the file of a benchmark in what a user points at: the file itself, or a clone of the benchmark's repository.
enum BenchmarkFolder {
    /// The first of `candidates` that exists in the folder; the URL itself if it is no folder.
    static func file(_ candidates: [String], at url: URL) throws -> URL {
        guard isFolder(url) else { return url }
        let found = candidates.map { url.appending(path: $0) }.first {
            FileManager.default.fileExists(atPath: $0.path)
        }
        guard let found else {
            throw EvaluationError(.file, file: url, "it holds none of \(candidates.joined(separator: ", "))")
        }
        return found
    }

    private static func isFolder(_ url: URL) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
