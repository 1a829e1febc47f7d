#if Server
internal import ArgumentParser
internal import Foundation
internal import MorphKV

/// Flags of `serve` for texts that it was given at its start, and for those that are compressed while it runs.
struct ServeContextFlags: ParsableArguments {
    @Option(
        name: .customLong("context"),
        help: "A text that `morphkv compress` saved, for requests that name it; NAME=FILE, may be given several times.")
    var contexts: [String] = []

    @Option(help: "A folder for texts that are compressed over HTTP; there again after a restart.")
    var contextDir: String?

    @Option(help: "Bytes that texts of --context-dir take in memory, all together (default: 1 GiB).")
    var contextBytes: Int?

    @Option(help: "Tokens of the longest text that can be compressed (default: 8192).")
    var contextTokens: Int?

    /// Whether there are texts at the start, or a folder for them.
    var isStated: Bool { !contexts.isEmpty || contextDir != nil }

    func validate() throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw ValidationError(what) }
        }
        try require((1...1 << 50).contains(contextBytes ?? 1), "--context-bytes: 1 byte or more is needed")
        try require((1...1 << 24).contains(contextTokens ?? 1), "--context-tokens: 1 to \(1 << 24) are possible")
        try require(
            contextDir != nil || contextBytes == nil && contextTokens == nil,
            "--context-bytes and --context-tokens need --context-dir")
    }

    /// Sets what the flags say.
    ///
    /// - Throws: `ValidationError` if the folder is not there, or an error about a context.
    func apply(to options: inout ServingOptions, _ model: Model) throws {
        options.contexts = try loaded(model)
        guard let contextDir else { return }
        // A file that grows too large is an error to report, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: contextDir, isDirectory: &isFolder), isFolder.boolValue,
            FileManager.default.isWritableFile(atPath: contextDir)
        else { throw ValidationError("--context-dir \(contextDir) is not a folder that can be written to") }
        var folder = ContextFolder(URL(fileURLWithPath: contextDir, isDirectory: true))
        if let contextBytes { folder.bytes = contextBytes }
        if let contextTokens { folder.tokens = contextTokens }
        options.contextFolder = folder
    }

    private func loaded(_ model: Model) throws -> [String: CompressedContext] {
        var loaded: [String: CompressedContext] = [:]
        for text in contexts {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, parts[0].wholeMatch(of: /[A-Za-z0-9._-]{1,64}/) != nil else {
                throw ValidationError(
                    "--context '\(text)': NAME=FILE is needed, with letters, digits, '.', '_' and '-' in the name")
            }
            guard loaded[parts[0]] == nil else { throw ValidationError("there are two contexts '\(parts[0])'") }
            loaded[parts[0]] = try CompressedContext(contentsOf: URL(fileURLWithPath: parts[1]), model: model)
        }
        return loaded
    }
}
#endif
