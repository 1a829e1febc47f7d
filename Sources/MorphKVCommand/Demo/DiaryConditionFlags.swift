internal import ArgumentParser
internal import MorphDemo
internal import MorphKV

/// Circumstances in which the demo's policies are measured.
struct DiaryConditionFlags: ParsableArguments {
    @Option(help: "0 always takes the most likely token; the number of a prompt is the seed otherwise.")
    var temperature: Float = 0

    @Option(help: "Feed the prompt in parts of this many tokens, each followed by a choice of what stays.")
    var prefillChunk: Int?

    @Flag(help: "Feed the second half of the prompt as a second prompt on top of the first.")
    var secondTurn = false

    var conditions: DiaryConditions {
        DiaryConditions(
            temperature: temperature, prefill: prefillChunk.map { .chunked($0) } ?? .exact, splitsPrompt: secondTurn)
    }
}
