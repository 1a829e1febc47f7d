package import Foundation
internal import Ggml

/// A GGUF file among others, as far as its beginning says what it is.
package struct ModelFile: Sendable, Hashable {
    /// Where it is.
    package let url: URL
    /// Its name without `.gguf`.
    package var name: String { url.deletingPathExtension().lastPathComponent }

    package init(_ url: URL) { self.url = url }

    /// Bytes before the tensors: the tokenizer, most of all.
    ///
    /// - Throws: `GgmlError` saying what is wrong with the file, ``ModelError`` of kind `tokenizer` if it has none.
    package func headBytes() throws -> Int {
        let file = try GgufFile(contentsOf: url)
        let kind = try file.string("tokenizer.ggml.model")
        guard let kind, kind != "no_vocab", kind != "none" else {
            throw ModelError(.tokenizer, "\(file.name) has no tokenizer, so it cannot be used with text")
        }
        return file.tensors.values.map(\.offset).min() ?? file.fileBytes
    }

    /// The files of a folder, by name, that are models or too damaged to say what they are; calibrations, contexts and saved
    /// sessions are left out.
    ///
    /// - Throws: what the system says if the folder cannot be read.
    package static func all(in folder: URL) throws -> [ModelFile] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension.lowercased() == "gguf" && !$0.lastPathComponent.hasPrefix(".") }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .filter { !isSomethingElse($0) }
            .map(ModelFile.init)
    }

    private static func isSomethingElse(_ url: URL) -> Bool {
        if url.lastPathComponent.hasSuffix(".augur.gguf") { return true }
        guard let file = try? GgufFile(contentsOf: url) else { return false }
        return file.isSavedCache || (try? file.string("general.architecture")) == Calibration.architecture
    }
}
