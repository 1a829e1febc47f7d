internal import ArgumentParser

/// The flag for the length of an answer, whose default depends on the command.
struct LengthFlags: ParsableArguments {
    @Option(
        name: [.customShort("n"), .long],
        help: "Tokens of an answer at most (default: 512; of ask 256, of chat 1024).")
    var maxTokens: Int?
}

/// Flags that say where an answer ends, shared by the commands that write one from a prompt.
struct AnswerFlags: ParsableArguments {
    @OptionGroup var length: LengthFlags

    @Option(help: "End an answer before this text; may be given several times.")
    var stop: [String] = []
}
