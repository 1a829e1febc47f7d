internal import ArgumentParser
internal import Ggml
internal import MorphKV

/// `morphkv`: GGUF models with a KV cache of constant size.
@main
struct RootCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "morphkv",
        abstract: "Runs GGUF language models with a KV cache of constant size.",
        version: PackageVersion.text,
        subcommands: [DemoCommand.self, GenerateCommand.self, ChatCommand.self] + serving + [
            CompressCommand.self, AskCommand.self, CalibrateCommand.self, InspectCommand.self, PoliciesCommand.self,
            PerplexityCommand.self, EndlessCommand.self, TraceCommand.self, EvalGroup.self, ScoreCommand.self,
            JudgeCommand.self, ReportCommand.self, RecallCommand.self, BenchCommand.self, ContextBenchCommand.self,
            WorkerCommand.self, MakeModelCommand.self,
        ])

    /// `serve`, if the package was built with its trait.
    private static var serving: [any ParsableCommand.Type] {
        #if Server
        [ServeCommand.self]
        #else
        []
        #endif
    }
}
