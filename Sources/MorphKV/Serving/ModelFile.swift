package import Foundation
internal import Ggml

/// A GGUF file among others, as far as its beginning says what it is.
package struct ModelFile: Sendable, Hashable {
    /// Where it is.
    package let url: URL
    /// Its name without `.gguf`, and without what tells parts apart, after the folders of the folder that it is in.
    package let name: String

    /// - Parameter folders: where it is in the folder of models, such as `publisher/model/`.
    package init(_ url: URL, in folders: String = "") {
        self.url = url
        name = folders + (GgufPart(url)?.stem ?? url.deletingPathExtension().lastPathComponent)
    }

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

    /// The files of a folder and of two levels of folders in it, by name, that are models or too damaged to say what they are;
    /// calibrations, contexts, saved sessions and all parts of a model but the first are left out.
    ///
    /// - Throws: what the system says if the folder cannot be read.
    package static func all(in folder: URL) throws -> [ModelFile] {
        try all(in: folder, "", levels: 2).filter { !isSomethingElse($0.url) }.sorted { $0.name < $1.name }
    }

    private static func all(in folder: URL, _ folders: String, levels: Int) throws -> [ModelFile] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { !$0.lastPathComponent.hasPrefix(".") }
            .flatMap { url -> [ModelFile] in
                // Links to folders are followed, which is why the levels are counted.
                let values = try? url.resolvingSymlinksInPath().resourceValues(forKeys: [.isDirectoryKey])
                guard values?.isDirectory == true else {
                    return url.pathExtension.lowercased() == "gguf" ? [ModelFile(url, in: folders)] : []
                }
                let inner = folders + url.lastPathComponent + "/"
                return levels > 0 ? (try? all(in: url, inner, levels: levels - 1)) ?? [] : []
            }
    }

    private static func isSomethingElse(_ url: URL) -> Bool {
        if url.lastPathComponent.hasSuffix(".augur.gguf") { return true }
        if let part = GgufPart(url), part.number > 1 { return true }
        guard let file = try? GgufFile(contentsOf: url) else { return false }
        return file.isSavedCache || (try? file.string("general.architecture")) == Calibration.architecture
    }
}
