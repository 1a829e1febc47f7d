package import MorphKV

/// Circumstances other than the usual ones in which diaries are written.
package struct DiaryConditions: Sendable, Hashable {
    /// 0 always takes the most likely token; a prompt's number is the seed otherwise.
    package var temperature: Float
    /// How the prompt enters the cache.
    package var prefill: CacheOptions.PrefillMode
    /// Whether the second half of the prompt, which has rules too, comes as a second prompt on top of the first.
    package var splitsPrompt: Bool

    /// The usual circumstances, but for what is stated.
    package init(
        temperature: Float = 0, prefill: CacheOptions.PrefillMode = .exact, splitsPrompt: Bool = false
    ) {
        self.temperature = temperature
        self.prefill = prefill
        self.splitsPrompt = splitsPrompt
    }

    /// The prompt, or its two halves, cut between words.
    func parts(of prompt: String) -> [String] {
        guard splitsPrompt else { return [prompt] }
        let middle = prompt.index(prompt.startIndex, offsetBy: prompt.count / 2)
        let cut = prompt[middle...].firstIndex(of: " ") ?? prompt.endIndex
        return [String(prompt[..<cut]), String(prompt[cut...])].filter { !$0.isEmpty }
    }
}
