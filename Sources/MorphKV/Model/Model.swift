public import Foundation
public import Ggml

/// A model file, ready to be used by any number of sessions at a time.
///
/// On the CPU, matrices are copied into the layout that ggml multiplies fastest, if there is one for their type; all else
/// stays in the mapped file, which several processes share.
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
    let lazyFingerprint: LazyFingerprint
    let lazyCalibration: LazyCalibration

    /// The names of all architectures that can be run.
    public static var architectures: [String] { MorphKV.architectures.map { $0.name } }

    /// Reads a GGUF file.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - device: where to compute; the CPU if nil.
    ///   - contextLength: the longest context you will use, for models with long and short RoPE factors
    ///     (Phi-3); what the model was trained for if nil.
    ///   - repacks: false leaves all weights in the mapped file, which starts faster, is shared between processes and
    ///     computes slower.
    ///   - calibration: what ``calibration()`` reads; if nil, `model.augur.gguf` beside `model.gguf`, if there is one.
    /// - Throws: ``ModelError`` or `GgmlError` saying what is wrong with the file; `GgmlError` of kind `device` if the device
    ///   does not compute what the CPU does.
    public convenience init(
        contentsOf url: URL, device: Device? = nil, contextLength: Int? = nil, repacks: Bool = true,
        calibration: URL? = nil
    ) throws {
        try self.init(url, device, contextLength, repacks: repacks, calibration, isWhole: true)
    }

    /// An outline of a model: all of it but what takes memory, the numbers in its weights and its tokenizer. To plan with, not
    /// to compute with.
    ///
    /// - Throws: ``ModelError`` or `GgmlError` saying what is wrong with the file.
    package convenience init(
        outlineOf url: URL, device: Device? = nil, contextLength: Int? = nil, repacks: Bool = true
    ) throws {
        try self.init(url, device, contextLength, repacks: repacks, nil, isWhole: false)
    }

    private init(
        _ url: URL, _ device: Device?, _ contextLength: Int?, repacks: Bool, _ calibration: URL?, isWhole: Bool
    ) throws {
        let file = try GgufFile(contentsOf: url)
        let device = try device ?? .cpu()
        try DeviceCheck.run(device)
        self.url = url
        self.device = device
        description = try DecoderDescription(file, intendedContext: contextLength)
        tokenizer = isWhole ? try Tokenizer(file, vocabularySize: description.vocabularySize) : nil
        lazyFingerprint = try LazyFingerprint(file, description)
        lazyCalibration = LazyCalibration(calibration, besideModel: url)
        let weights = try WeightLoader(file, description, on: device, repacks: repacks).load(places: isWhole)
        weightBytes = weights.bytes
        self.weights = ReadOnly(weights)
    }
}

extension Model {
    /// - Throws: ``CacheError`` of kind `invalidToken` for an id outside the vocabulary.
    func check(_ token: Token) throws {
        guard token >= 0, Int(token) < description.vocabularySize else {
            throw CacheError(
                .invalidToken, "token id \(token) is not in the vocabulary of \(description.vocabularySize)")
        }
    }
}
