public import ArgumentParser
internal import Foundation
public import MorphKV

extension ChatInput.ReasoningFormat: ExpressibleByArgument {}

/// Another chat template than the model's.
struct ChatTemplateFlags: ParsableArguments {
    @Option(help: "A file with a chat template in Jinja, in place of the model's own.")
    var chatTemplate: String?

    /// The text of the file.
    func source() throws -> String? { try chatTemplate.map { try Input.text(ofFile: $0) } }
}
