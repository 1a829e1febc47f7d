public import Foundation
internal import Synchronization

extension Model {
    /// The file that ``calibration()`` reads, whether it is there or not.
    public var calibrationURL: URL { lazyCalibration.url }

    /// What was learned about the model (see ``Calibration``): the file named when the model was read, else the one
    /// beside it; nil if there is none. Read when it is first asked for; what came of that stays.
    ///
    /// - Throws: ``CacheError`` of kind `calibration` if it is damaged or another model's; `GgmlError` if it
    ///   cannot be read or copied to the device.
    public func calibration() throws -> Calibration? {
        try lazyCalibration.value { calibration in
            guard calibration.model == fingerprint else {
                throw CacheError(
                    .calibration,
                    "the calibration is of the model \(calibration.model); this one is \(fingerprint)")
            }
            guard
                calibration.layerCount == description.layers.count, calibration.kvHeads == description.kvHeads,
                calibration.width == description.embeddingLength
            else { throw CacheError(.calibration, "the calibration is of a model of another shape") }
            try calibration.load(on: placement)
        }
    }
}

/// Reads a model's calibration when it is first asked for.
final class LazyCalibration: Sendable {
    /// The file that was named, or may be there.
    let url: URL
    private let isNamed: Bool
    /// What came of the first attempt, so that all sequences of a model get the same.
    private let known = Mutex<Result<Calibration?, any Error>?>(nil)

    /// - Parameter url: the file, or nil for the one beside the model.
    init(_ url: URL?, besideModel model: URL) {
        self.url = url ?? Calibration.url(besideModel: model)
        isNamed = url != nil
    }

    /// - Parameter check: throws if it does not fit the model.
    func value(check: (Calibration) throws -> Void) throws -> Calibration? {
        try known.withLock { known in
            let outcome = known ?? Result { try read(check) }
            known = outcome
            return try outcome.get()
        }
    }

    private func read(_ check: (Calibration) throws -> Void) throws -> Calibration? {
        guard isNamed || FileManager.default.fileExists(atPath: url.path) else { return nil }
        let calibration = try Calibration(contentsOf: url)
        try check(calibration)
        return calibration
    }
}
