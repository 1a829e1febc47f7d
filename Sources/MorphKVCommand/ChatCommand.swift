internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct ChatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat", abstract: "Talks with a model, turn by turn.",
        discussion: """
            Lines that begin with a slash are commands:
              /policy [NAME:KEY=VALUE,...]  show the policy, or go on with another one
              /pin TEXT                     send a message that is pinned: a cache of constant size never drops it
              /stats                        what the cache holds and costs
              /history                      the conversation so far
              /save FILE                    write the conversation to FILE, as JSON, and the cache to FILE.gguf
              /reset                        forget the conversation
              /quit                         end
            """)

    @OptionGroup var modelFlags: ModelFlags
    @OptionGroup var cache: CacheFlags
    @OptionGroup var sampling: SamplingFlags

    @Option(name: .shortAndLong, help: "The first message; then come those of standard input.")
    var prompt: String?

    @Option(help: "The system message.")
    var system: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Pin the system message, so that a cache of constant size never drops it (default: as far as it fits).")
    var pinSystem: Bool?

    @Option(help: "Go on with a conversation that /save wrote, in the cache and with the policy that it had.")
    var resume: String?

    @OptionGroup var chatTemplate: ChatTemplateFlags
    @OptionGroup var length: LengthFlags

    func validate() throws {
        if resume != nil, system != nil || cache.isStated {
            throw ValidationError("--resume brings its own system message and policy; /policy changes the policy")
        }
    }

    func run() async throws {
        let model = try modelFlags.load()
        // A conversation gets as long as the model's context.
        let options = try cache.options(
            for: model, length: SequenceLength(tokens: modelFlags.contextLength ?? model.description.contextLength),
            pins: true)
        var chat = try await Chat(
            model, resume.map { .saved($0) } ?? .new(options, system: system), template: chatTemplate.source(),
            pinsSystem: pinSystem,
            options: GenerationOptions(maxTokens: length.maxTokens ?? 1024, sampling: sampling.options),
            threads: modelFlags.threadCount)
        if let prompt { try await Self.goOn { try await chat.answer(prompt) } }
        let isInteractive = Output.isTerminal(.standardInput)
        while true {
            if isInteractive { try Output.write("> ", to: .standardError) }
            guard let line = readLine() else { break }
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard let first = words.first else { continue }
            if first == "/quit" { break }
            try await Self.goOn {
                if first.hasPrefix("/") {
                    try await chat.command(first, words.count > 1 ? words[1] : nil)
                } else {
                    try await chat.answer(line)
                }
            }
        }
    }

    /// Does one thing; a mistake in it is said and does not end the conversation.
    private static func goOn(_ work: () async throws -> Void) async throws {
        do { try await work() } catch { try Output.write("\(error)\n", to: .standardError) }
    }
}
