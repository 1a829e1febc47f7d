internal import ArgumentParser
internal import MorphKV

/// Flags that choose how tokens are sampled.
struct SamplingFlags: ParsableArguments {
    @Option(help: "0 always takes the most likely token.")
    var temperature: Float = 0

    @Option(help: "Keep the k most likely tokens; 0 keeps all.")
    var topK = 40

    @Option(help: "Keep the most likely tokens that together have this probability.")
    var topP: Float = 0.95

    @Option(help: "Keep tokens with at least this share of the best one's probability.")
    var minP: Float = 0.05

    @Option(help: "Divide the logits of recent tokens by this.")
    var repeatPenalty: Float = 1

    @Option(help: "Subtract this for every recent occurrence of a token.")
    var frequencyPenalty: Float = 0

    @Option(help: "Subtract this once for every token that occurred recently.")
    var presencePenalty: Float = 0

    @Option(help: "Seed of the random choice.")
    var seed: UInt32 = 0

    var options: SamplingOptions {
        SamplingOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP, repetitionPenalty: repeatPenalty,
            frequencyPenalty: frequencyPenalty, presencePenalty: presencePenalty, seed: seed)
    }
}
