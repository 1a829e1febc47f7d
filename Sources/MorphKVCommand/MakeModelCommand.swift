internal import ArgumentParser
internal import Foundation
internal import Ggml
internal import MorphKV

struct MakeModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-model", abstract: "Writes a GGUF file of a real model's shape with random weights.",
        discussion: """
            For measurements of speed and memory, which do not depend on the weights' values. With a tokenizer the \
            model can be served and chatted with as well; what it says is noise. --layers, --narrow and --vocabulary make a \
            smaller one of the same make: the same kinds of blocks in turn, as many experts, heads of the same length.
            """)

    @Option(help: "The shape: \(ModelShape.presets.keys.sorted().joined(separator: ", ")).")
    var preset: String

    @Option(help: "The weights' type, such as f16, q8_0 or q4_K.")
    var type = "q4_K"

    @Option(
        help: "A GGUF file whose tokenizer the model gets, and with it the size of its vocabulary.",
        completion: .file(extensions: ["gguf"]))
    var tokenizerFrom: String?

    @Option(help: "Only so many of the shape's layers, its first ones.")
    var layers: Int?

    @Option(help: "Divide the shape's widths and numbers of heads by this.")
    var narrow = 1

    @Option(help: "Only so many tokens in the vocabulary.")
    var vocabulary: Int?

    @Option(help: "Seed of the random values.")
    var seed: UInt64 = 1

    @Option(name: [.short, .long], help: "The file to write.")
    var output: String

    func run() throws {
        guard let whole = ModelShape.presets[preset] else {
            let names = ModelShape.presets.keys.sorted().joined(separator: ", ")
            throw ValidationError("there is no preset '\(preset)'; there are: \(names)")
        }
        guard let type = ElementType(named: type) else { throw ValidationError("there is no type '\(type)'") }
        let shape = try whole.scaled(layers: layers, by: narrow, vocabulary: vocabulary)
        var status = StatusLine(isShown: Output.isTerminal(.standardError))
        let tokenizer = try tokenizerFrom.map { try GgufFile(contentsOf: URL(fileURLWithPath: $0)) }
        var model = try RandomModel(shape, type: type, seed: seed, tokenizer: tokenizer)
        let url = URL(fileURLWithPath: output)
        try model.write(to: url) { done, total in status.show("\(done) of \(total) tensors") }
        status.clear()
        let size = try url.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
        let scale = shape == whole ? "" : " (\(shape.layers) of \(whole.layers) layers, width \(shape.embedding))"
        print("\(output): \(preset)\(scale), \(type), vocabulary \(model.shape.vocabulary), \(Output.bytes(size))")
    }
}
