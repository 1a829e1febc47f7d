package import Foundation

/// The command beside the test bundle, where the build puts both.
package enum BuiltCommand {
    package static let url: URL = {
        let bundle = CommandLine.arguments.first { $0.contains(".xctest") } ?? CommandLine.arguments[0]
        var folder = URL(fileURLWithPath: bundle)
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let candidate = folder.appendingPathComponent("morphkv")
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
        }
        preconditionFailure("the command is built beside the tests")
    }()
}
