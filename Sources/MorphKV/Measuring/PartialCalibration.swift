/// What an unfinished calibration has learned, as numbers in a ``PartialFile``.
struct PartialCalibration {
    private let file: PartialFile?
    private let sizes: [String: Int]
    private let layers: Int

    /// - Parameter file: nil keeps nothing.
    init(_ file: PartialFile?, _ model: Model, _ options: Calibrator.Options) {
        self.file = file
        let d = model.description
        layers = d.layers.count
        let rows = d.kvHeads * options.ages.count
        sizes = [
            "weights": rows * d.embeddingLength, "biases": rows, "explained": rows,
            "counts": options.windows.count * options.thresholds.count * d.kvHeads,
        ]
    }

    /// The layers of an earlier run of the same.
    func read() -> [CalibrationPass.Learned] {
        guard let kept = file?.read() else { return [] }
        func floats(_ layer: Int, _ name: String) -> [Float]? {
            guard let values = kept["\(layer).\(name)"], values.count == sizes[name] else { return nil }
            return values.map { Float(bitPattern: UInt32(bitPattern: $0)) }
        }
        var learned: [CalibrationPass.Learned] = []
        while learned.count < layers, let weights = floats(learned.count, "weights"),
            let biases = floats(learned.count, "biases"), let explained = floats(learned.count, "explained"),
            let counts = floats(learned.count, "counts")
        {
            let fit = RidgeRegression.Fit(
                weights: weights, biases: biases, explained: explained.map { $0.isNaN ? nil : $0 })
            learned.append(.init(fit: fit, counts: counts))
        }
        return learned
    }

    /// Keeps the layers that were learned so far.
    ///
    /// - Throws: `GgmlError` of kind `file`.
    func write(_ learned: [CalibrationPass.Learned]) throws {
        var contents: [String: [Int32]] = [:]
        for (index, layer) in learned.enumerated() {
            for (name, values) in [
                ("weights", layer.fit.weights), ("biases", layer.fit.biases),
                ("explained", layer.fit.explained.map { $0 ?? .nan }), ("counts", layer.counts),
            ] {
                contents["\(index).\(name)"] = values.map { Int32(bitPattern: $0.bitPattern) }
            }
        }
        try file?.write(contents)
    }
}
