package import Foundation

/// The chat templates among the fixtures.
package enum ChatTemplates {
    /// The templates' files.
    package static let files = Fixtures.files(in: Fixtures.templates, ending: ".jinja")

    /// A template by the beginning of its file's name.
    package static func source(_ name: String) throws -> String {
        let file = files.first { $0.lastPathComponent.hasPrefix(name) }
        return try String(contentsOf: file ?? Fixtures.templates.appending(path: name), encoding: .utf8)
    }
}
