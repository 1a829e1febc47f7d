package import Foundation

// llama.cpp's `llama-gguf-split` cuts a large model into files of which the first has the metadata, and each has tensors.
extension GgufFile {
    /// Maps the file, or its parts one behind the other, each from the start of a page.
    ///
    /// - Throws: ``GgmlError`` of kind `file` if they cannot be opened or are not what they were.
    package func map() throws -> MappedFile {
        let mapping = try MappedFile(urls)
        guard mapping.bytes.count == fileBytes else { throw GgmlError(.file, "\(name) changed while it was read") }
        return mapping
    }

    /// Adds the tensors of the other parts of a model.
    func readOtherParts() throws {
        let count = try integer("split.count") ?? 1
        guard count > 1 else { return }
        let number = try (integer("split.no") ?? 0).addingReportingOverflow(1).partialValue
        guard let part = GgufPart(url), part.count == count, part.number == number else {
            throw GgmlError(
                .format,
                "\(name) is part \(number) of \(count) of a model, and its name does not say so as llama.cpp writes it")
        }
        guard number == 1 else {
            let first = part.url(1).lastPathComponent
            throw GgmlError(.file, "\(name) is part \(number) of \(count) of a model: name the first, \(first)")
        }
        for number in 2...count { try add(part.url(number), number, of: count) }
        let expected = try integer("split.tensors.count") ?? tensors.count
        guard tensors.count == expected else {
            throw GgmlError(.format, "\(name): all parts have \(tensors.count) tensors, not \(expected)")
        }
    }

    private func add(_ url: URL, _ number: Int, of count: Int) throws {
        let part = try GgufFile(single: url)
        guard try part.integer("split.no") == number - 1, try part.integer("split.count") == count else {
            throw GgmlError(.format, "\(part.name) does not say that it is part \(number) of \(count)")
        }
        let start = MappedFile.nextPage(fileBytes)
        for tensor in part.tensors.values {
            let moved = TensorInfo(
                name: tensor.name, type: tensor.type, shape: tensor.shape, offset: start + tensor.offset,
                bytes: tensor.bytes)
            guard tensors.updateValue(moved, forKey: tensor.name) == nil else {
                throw GgmlError(.format, "\(part.name): tensor \(tensor.name) is in an earlier part too")
            }
        }
        urls.append(url)
        fileBytes = start + part.fileBytes
    }
}

/// What the name of a model's part says, such as `model-00001-of-00003.gguf`.
package struct GgufPart {
    /// The name without what follows the model's own, such as `model`.
    package let stem: String
    /// Which part it is, from 1.
    package let number: Int
    /// How many there are.
    package let count: Int
    private let folder: URL

    /// Nil if the name is not that of a part.
    package init?(_ url: URL) {
        guard let match = url.lastPathComponent.wholeMatch(of: /(.+)-(\d{5})-of-(\d{5})\.gguf/),
            let number = Int(match.2), let count = Int(match.3)
        else { return nil }
        (stem, self.number, self.count) = (String(match.1), number, count)
        folder = url.deletingLastPathComponent()
    }

    /// Where another part lies.
    func url(_ number: Int) -> URL {
        func digits(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - "\(value)".count)) + "\(value)" }
        return folder.appendingPathComponent("\(stem)-\(digits(number))-of-\(digits(count)).gguf")
    }
}
