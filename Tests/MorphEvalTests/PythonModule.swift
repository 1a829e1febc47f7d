import Foundation
import Testing

@testable import MorphEval

/// Python's packages that some scores need.
enum PythonModule {
    /// Whether Python has jieba, asked once.
    static let hasJieba = isInstalled("jieba")
    static let noJieba: Comment = "needs Python with jieba 0.42.1: pip install jieba==0.42.1, or set MORPHKV_PYTHON"

    /// Whether Python has tree-sitter's grammars, asked once.
    static let hasTreeSitter = isInstalled("tree_sitter_languages")
    static let noTreeSitter: Comment = "needs Python with tree-sitter==0.21.3 and tree-sitter-languages==1.10.2"

    private static func isInstalled(_ name: String) -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [PythonHelper.defaultInterpreter, "-c", "import \(name)"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
