package import Foundation

/// The files that tests read; `Tests/Fixtures/README.md` says what each is and where it comes from.
package enum Fixtures {
    /// The folder of the package.
    package static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let folder = root.appending(path: "Tests/Fixtures")

    /// A small model that was really trained, without a calibration.
    package static let stories = folder.appending(path: "models/stories260K.gguf")
    /// The demo's model, its calibration beside it.
    package static let diary = root.appending(path: "Sources/MorphKVCommand/Resources/diary.gguf")

    /// The second model that comes with the command, its calibration beside it.
    package static let logbook = root.appending(path: "Sources/MorphKVCommand/Resources/logbook.gguf")

    /// Recorded runs of the oracle of the published policies, with their models.
    package static let publishedPolicies = folder.appending(path: "oracle")
    /// Recorded runs of the oracle of models with learned sinks, with their models.
    package static let sinks = folder.appending(path: "sinks")
    /// Recorded runs of the oracle of the policy augur, with their models and calibrations.
    package static let augur = folder.appending(path: "traces")

    /// Predictions that were published with MorphKV, and what the published scorers make of them.
    package static let predictions = folder.appending(path: "published")
    /// Files of benchmarks as their authors publish them.
    package static let benchmarks = folder.appending(path: "benchmarks")
    /// Samples and a prediction of our own in the format of LongGenBench.
    package static let longGenBench = folder.appending(path: "longgenbench")

    /// Chat templates of well-known models.
    package static let templates = folder.appending(path: "templates")

    /// What an older version of the program wrote.
    package static let older = folder.appending(path: "older")

    /// The files of a folder whose names have an ending, by name.
    package static func files(in folder: URL, ending: String) -> [URL] {
        let all = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (all ?? []).filter { $0.lastPathComponent.hasSuffix(ending) }.sorted { $0.path < $1.path }
    }
}
