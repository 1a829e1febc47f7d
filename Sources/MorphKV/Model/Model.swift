public import Foundation
public import Ggml

/// A model file, ready to be used by any number of sessions at a time.
///
/// On the CPU the weights stay in the mapped file: they are not copied, and several processes share them.
public final class Model: Sendable {
    /// The file it was read from.
    public let url: URL
    /// What the decoder looks like.
    public let description: DecoderDescription
    /// The device that holds the weights and computes.
    public let device: Device
    /// The tokenizer; nil if the file has none, so that only token ids can be used.
    public let tokenizer: Tokenizer?
    /// Bytes of all weights.
    public let weightBytes: Int

    package let weights: ReadOnly<Weights>
    let fingerprints = LazyFingerprint()

    /// The names of all architectures that can be run.
    public static var architectures: [String] { MorphKV.architectures.map { $0.name } }

    /// Reads a GGUF file.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - device: where to compute; the CPU if nil.
    ///   - contextLength: the longest context you will use, for models with long and short RoPE factors
    ///     (Phi-3); what the model was trained for if nil.
    /// - Throws: ``ModelError`` or ``/Ggml/GgmlError`` saying what is wrong with the file.
    public init(contentsOf url: URL, device: Device? = nil, contextLength: Int? = nil) throws {
        let file = try GgufFile(contentsOf: url)
        let device = try device ?? .cpu()
        self.url = url
        self.device = device
        description = try DecoderDescription(file, intendedContext: contextLength)
        tokenizer = try Tokenizer(file, vocabularySize: description.vocabularySize)
        let weights = try WeightLoader(file, description).load(on: device)
        weightBytes = weights.bytes
        self.weights = ReadOnly(weights)
    }
}
