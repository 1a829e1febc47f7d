internal import Foundation
#if Evaluation
internal import Subprocess
#endif

/// A short Python program that is given the name of a JSON file and answers with JSON on its standard output, for the
/// two published libraries whose results depend on their own data: jieba's dictionary and tree-sitter's grammars.
struct PythonHelper: Sendable {
    /// The interpreter: a name looked up in `PATH`, or a path.
    let interpreter: String
    let program: String
    /// What to install when a module is missing, as `pip` names it.
    let requirement: String

    /// The interpreter used where none is named: that of `MORPHKV_PYTHON`, or `python3`.
    static var defaultInterpreter: String {
        ProcessInfo.processInfo.environment["MORPHKV_PYTHON"] ?? "python3"
    }

    /// Answers larger than this are refused.
    private static let outputLimit = 1 << 30

    /// Runs the program once.
    func run<Input: Encodable, Output: Decodable>(_ input: Input, as _: Output.Type) async throws -> Output {
        let answer = try await answer(to: JSONEncoder().encode(input))
        do {
            return try JSONDecoder().decode(Output.self, from: answer)
        } catch {
            throw EvaluationError(.helper, "\(interpreter) answered with something else than the expected JSON")
        }
    }

    private func answer(to request: Data) async throws -> Data {
        #if Evaluation
        // A file instead of a pipe: writing to an interpreter that is missing or fails early would raise SIGPIPE, which
        // ends the whole process.
        let file = FileManager.default.temporaryDirectory.appending(path: "morphkv-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        let result: ExecutionResult<Void, DataOutput, StringOutput<UTF8>>
        do {
            try request.write(to: file)
            // `env` takes a name as well as a path and tells by its status when there is no such program.
            result = try await Subprocess.run(
                .name("env"), arguments: [interpreter, "-c", program, file.path],
                output: .data(limit: Self.outputLimit), error: .string(limit: 1 << 20))
        } catch {
            throw EvaluationError(.helper, "\(interpreter) could not be run: \(error)")
        }
        switch result.terminationStatus {
        case .exited(0): return result.standardOutput
        case .exited(126), .exited(127):
            throw EvaluationError(.missingPackage, "there is no Python named \(interpreter): \(advice)")
        case let status:
            guard !result.standardError.contains("ModuleNotFoundError") else {
                throw EvaluationError(.missingPackage, "\(interpreter) has no \(requirement): \(advice)")
            }
            let lastLine = result.standardError.split(separator: "\n").last ?? "no message"
            throw EvaluationError(.helper, "\(interpreter) failed (\(status)): \(lastLine)")
        }
        #else
        throw EvaluationError(.helper, "MorphEval was built without its trait Evaluation, which runs Python")
        #endif
    }

    private var advice: String {
        "install it with `pip install \(requirement)`, or name another interpreter in MORPHKV_PYTHON"
    }
}
