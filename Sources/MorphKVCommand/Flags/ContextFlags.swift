internal import ArgumentParser

/// The flag for what stands before a text that is compressed.
struct ContextFlags: ParsableArguments {
    @Option(help: "What comes before the text and is never cut, such as a system prompt.")
    var system = ""
}

/// The flag for how much of a text the model repeats at a time, to find out what is needed of it.
struct RepetitionFlags: ParsableArguments {
    @Option(help: "Tokens of the text that the model repeats at a time.")
    var chunk = 2000
}
