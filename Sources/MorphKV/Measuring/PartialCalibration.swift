internal import Foundation
internal import Ggml

/// The file in which an unfinished calibration keeps the layers that it has learned.
struct PartialCalibration {
    private let url: URL?
    private let digest: String
    private let width: Int
    private let rows: Int
    private let counts: Int
    private let layers: Int

    private static let key = "augur.partial"

    /// - Parameters:
    ///   - url: nil keeps nothing.
    ///   - digest: tells the run apart from others.
    init(at url: URL?, digest: String, _ model: Model, _ options: Calibrator.Options) {
        self.url = url
        self.digest = digest
        let d = model.description
        (width, layers) = (d.embeddingLength, d.layers.count)
        rows = d.kvHeads * options.ages.count
        counts = options.windows.count * options.thresholds.count * d.kvHeads
    }

    /// The layers of an earlier run of the same; none if there is no such file or it is damaged, for it can be made again.
    func read() -> [CalibrationPass.Learned] {
        guard let url, FileManager.default.fileExists(atPath: url.path) else { return [] }
        return (try? read(url)) ?? []
    }

    private func read(_ url: URL) throws -> [CalibrationPass.Learned] {
        let (file, mapping) = (try GgufFile(contentsOf: url), try MappedFile(url))
        try file.checkSeal(mapping)
        guard try file.string(Self.key) == digest else { return [] }
        func floats(_ name: String, _ count: Int) -> [Float]? {
            guard let tensor = file.tensors[name], tensor.type == .f32, tensor.shape == [count] else { return nil }
            let bytes = UnsafeRawBufferPointer(
                rebasing: mapping.bytes[tensor.offset..<tensor.offset + 4 * count])
            return Array(bytes.bindMemory(to: Float.self))
        }
        var learned: [CalibrationPass.Learned] = []
        while learned.count < layers, let weights = floats("\(learned.count).weights", rows * width),
            let biases = floats("\(learned.count).biases", rows),
            let explained = floats("\(learned.count).explained", rows),
            let counts = floats("\(learned.count).counts", counts)
        {
            let fit = RidgeRegression.Fit(
                weights: weights, biases: biases, explained: explained.map { $0.isNaN ? nil : Double($0) })
            learned.append(.init(fit: fit, counts: counts))
        }
        return learned
    }

    /// Replaces the file.
    ///
    /// - Throws: `GgmlError` of kind `file`.
    func write(_ learned: [CalibrationPass.Learned]) throws {
        guard let url else { return }
        let writer = GgufWriter()
        writer.set("general.architecture", "augur-partial")
        writer.set(Self.key, digest)
        var contents: [String: [Float]] = [:]
        for (index, layer) in learned.enumerated() {
            for (name, values) in [
                ("weights", layer.fit.weights), ("biases", layer.fit.biases),
                ("explained", layer.fit.explained.map { $0.map { Float($0) } ?? .nan }), ("counts", layer.counts),
            ] {
                contents["\(index).\(name)"] = values
                writer.addTensor("\(index).\(name)", .f32, [values.count])
            }
        }
        try writer.write(to: url, isSealed: true) { name, write in try contents[name]!.withUnsafeBytes(write) }
    }
}
