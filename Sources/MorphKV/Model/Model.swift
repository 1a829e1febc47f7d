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
    /// Which device holds the weights and the cache of each layer, and computes it.
    public let placement: DevicePlacement
    /// The first layer's device.
    public var device: Device { placement.devices[0] }
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
        try self.init(
            url, device.map { [$0] } ?? [], nil, contextLength, repacks: repacks, calibration, isWhole: true)
    }

    /// Reads a GGUF file whose layers are spread over several devices; between them only the hidden state moves.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - devices: where to compute, in the order in which they get layers; the CPU if there is none.
    ///   - split: the devices' shares of the layers, in any unit; in proportion to free memory if nil.
    ///   - contextLength: the longest context you will use, for models with long and short RoPE factors
    ///     (Phi-3); what the model was trained for if nil.
    ///   - repacks: false leaves all weights in the mapped file.
    ///   - calibration: what ``calibration()`` reads; if nil, `model.augur.gguf` beside `model.gguf`, if there is one.
    /// - Throws: ``ModelError`` or `GgmlError` saying what is wrong with the file; `GgmlError` of kind `device` if a device does not
    ///   compute what the CPU does, or the model's layers cannot be on several devices.
    public convenience init(
        contentsOf url: URL, devices: [Device], split: [Double]? = nil, contextLength: Int? = nil, repacks: Bool = true,
        calibration: URL? = nil
    ) throws {
        try self.init(url, devices, split, contextLength, repacks: repacks, calibration, isWhole: true)
    }

    /// An outline of a model: all of it but what takes memory, the numbers in its weights and its tokenizer. To plan with, not
    /// to compute with.
    ///
    /// - Throws: ``ModelError`` or `GgmlError` saying what is wrong with the file.
    package convenience init(
        outlineOf url: URL, devices: [Device] = [], split: [Double]? = nil, contextLength: Int? = nil,
        repacks: Bool = true
    ) throws {
        try self.init(url, devices, split, contextLength, repacks: repacks, nil, isWhole: false)
    }

    private init(
        _ url: URL, _ devices: [Device], _ split: [Double]?, _ contextLength: Int?, repacks: Bool, _ calibration: URL?,
        isWhole: Bool
    ) throws {
        let file = try GgufFile(contentsOf: url)
        let devices = try devices.isEmpty ? [.cpu()] : devices
        for device in devices { try DeviceCheck.run(device) }
        self.url = url
        description = try DecoderDescription(file, intendedContext: contextLength)
        placement = try description.placement(on: devices, shares: split)
        tokenizer = isWhole ? try Tokenizer(file, vocabularySize: description.vocabularySize) : nil
        lazyFingerprint = try LazyFingerprint(file, description)
        lazyCalibration = LazyCalibration(calibration, besideModel: url)
        let weights = try WeightLoader(file, description, on: placement, repacks: repacks).load(places: isWhole)
        weightBytes = weights.bytes
        self.weights = ReadOnly(weights)
    }
}

extension DecoderDescription {
    /// Whether all that a token takes from block to block is a hidden state.
    var hasOneHiddenState: Bool { recurrentBlocks.isEmpty && queryBlocks.isEmpty && !hasStreams }

    /// - Throws: `GgmlError` of kind `device` if there are several devices and blocks that need more than the hidden state.
    fileprivate func placement(on devices: [Device], shares: [Double]?) throws -> DevicePlacement {
        let placement = try DevicePlacement(devices, shares: shares, layers: layers.count)
        guard !placement.isSpread || hasOneHiddenState else {
            throw GgmlError(
                .device,
                "a model of architecture \(architecture) runs on one device: its blocks share more than a hidden state"
            )
        }
        return placement
    }
}

extension Model {
    /// - Throws: `GgmlError` of kind `device` if the layers are spread over several, which `what` cannot be done with.
    func requireOneDevice(for what: String) throws {
        guard !placement.isSpread else {
            throw GgmlError(.device, "\(what) needs all layers on one device, not on \(placement.devices.map(\.name))")
        }
    }

    /// - Throws: ``CacheError`` of kind `invalidToken` for an id outside the vocabulary.
    func check(_ token: Token) throws {
        guard token >= 0, Int(token) < description.vocabularySize else {
            throw CacheError(
                .invalidToken, "token id \(token) is not in the vocabulary of \(description.vocabularySize)")
        }
    }
}
