import Foundation
import MorphKV

/// The model that comes with the command, its calibration beside it.
enum DemoFiles {
    static let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/MorphKVCommand/Resources/diary.gguf")

    static func model() throws -> Model { try Model(contentsOf: url) }
}
