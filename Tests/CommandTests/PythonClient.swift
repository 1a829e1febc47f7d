import Foundation
import TestSupport

/// Other people's clients in Python, in an environment that a script makes.
struct PythonClient: Sendable {
    /// The interpreter; nil if the environment was not made.
    let path: String?

    /// The official clients of OpenAI and Anthropic.
    static let official = PythonClient(madeBy: "openai-python")
    /// lm-evaluation-harness.
    static let harness = PythonClient(madeBy: "lm-eval-python")

    private init(madeBy script: String) {
        let result = try? Self.run("/bin/bash", [Fixtures.root.appending(path: "scripts/\(script)").path, "--path"])
        let text = result?.output.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        path = text.isEmpty ? nil : text
    }

    /// Runs a script of the folder Python.
    func run(script: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
        let script = Fixtures.root.appending(path: "Tests/CommandTests/Python/\(script)").path
        let program = path ?? "python3"
        return try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Result { try Self.run(program, [script] + arguments) }) }.start()
        }
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }
}
