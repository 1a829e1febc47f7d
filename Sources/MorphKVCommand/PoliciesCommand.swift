internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct PoliciesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policies", abstract: "Lists the cache policies and their parameters.")

    func run() throws {
        for policy in PolicyRegistry.standard.descriptors {
            print("\(policy.name): \(policy.summary)")
            print("    source: \(policy.source)")
            for parameter in policy.parameters {
                let value = parameter.defaultValue.map { "default \($0)" } ?? "required"
                print("    \(parameter.name) (\(parameter.domain); \(value)): \(parameter.summary)")
            }
        }
    }
}
