import Foundation
import Testing

@testable import MorphEval

/// The data that lies next to the package, and the fixtures inside it.
enum SharedData {
    static let folder = packageFolder().appending(path: "../shared/data").standardizedFileURL
    static let published = folder.appending(path: "published")
    static let benchmarks = folder.appending(path: "benchmarks")

    static let isPresent = FileManager.default.fileExists(atPath: published.path)
    static let absence: Comment = "needs ../shared/data next to the package"

    /// A small model that was really trained.
    static let stories = folder.appending(path: "models/stories260K.gguf")
    static let hasStories = FileManager.default.fileExists(atPath: stories.path)
    static let noStories: Comment = "the model stories260K is not beside the checkout"

    /// The demo's model, with its calibration beside it.
    static let diary = packageFolder().appending(path: "Sources/MorphKVCommand/Resources/diary.gguf")

    /// Whether Python has jieba, asked once.
    static let hasJieba = PythonModule.isInstalled("jieba")
    static let noJieba: Comment = "needs Python with jieba 0.42.1: pip install jieba==0.42.1, or set MORPHKV_PYTHON"

    /// Whether Python has tree-sitter's grammars, asked once.
    static let hasTreeSitter = PythonModule.isInstalled("tree_sitter_languages")
    static let noTreeSitter: Comment = "needs Python with tree-sitter==0.21.3 and tree-sitter-languages==1.10.2"

    private static func packageFolder(of file: String = #filePath) -> URL {
        var folder = URL(filePath: file)
        repeat {
            folder.deleteLastPathComponent()
        } while folder.path != "/"
            && !FileManager.default.fileExists(atPath: folder.appending(path: "Package.swift").path)
        return folder
    }
}

enum PythonModule {
    static func isInstalled(_ name: String) -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [PythonHelper.defaultInterpreter, "-c", "import \(name)"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
