internal import ArgumentParser

/// `morphkv eval`: a published benchmark, or the demo's prompts.
struct EvalGroup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Runs a benchmark, or the demo's prompts, with any policy.",
        subcommands: [EvalCommand.self, EvalDemoCommand.self], defaultSubcommand: EvalCommand.self)
}
