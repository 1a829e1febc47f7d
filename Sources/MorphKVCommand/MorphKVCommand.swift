internal import ArgumentParser
internal import Ggml
internal import MorphKV

/// `morphkv`: GGUF models with a KV cache of constant size.
@main
struct MorphKVCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "morphkv",
        abstract: "Runs GGUF language models with a KV cache of constant size.",
        subcommands: [
            GenerateCommand.self, ChatCommand.self, ServeCommand.self, InspectCommand.self, PoliciesCommand.self,
            PerplexityCommand.self, TraceCommand.self, EvalCommand.self, ScoreCommand.self, JudgeCommand.self,
            ReportCommand.self, BenchCommand.self, MakeModelCommand.self,
        ])
}
