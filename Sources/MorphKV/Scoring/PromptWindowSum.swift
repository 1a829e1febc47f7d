internal import Ggml

/// The summed weights of a prompt's last queries, for rules that choose once, after the prompt.
final class PromptWindowSum: PromptScoring {
    private let window: Int

    init(window: Int) { self.window = window }

    func countedQueries(of tokens: Int) -> Int { min(tokens, window) }
    var talliesReceived: Bool { true }
    func tally(_ batch: PromptBatch) -> Tensor { batch.received(by: .sum) }
}
