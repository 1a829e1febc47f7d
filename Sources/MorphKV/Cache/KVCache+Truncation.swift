/// Going back to an earlier place of a sequence.
extension KVCache {
    /// Whether the cache still holds every token after some place as it was read, so that the sequence can go on from there:
    /// nothing keeps scores of what was read later, nothing was dropped, cut or moved. A recurrent state cannot go back.
    func canTruncate(to tokens: Int) -> Bool {
        guard tokens >= (context?.tokens ?? 0), tokens <= seen, frame == RotaryFrame() else { return false }
        guard recurrent == nil || tokens == seen else { return false }
        return parts.joined().allSatisfy { $0.canTruncate(to: tokens, seen: seen) }
    }

    /// Forgets what came after a place; ``canTruncate(to:)`` has said that this is possible.
    func truncate(to tokens: Int) {
        precondition(canTruncate(to: tokens), "the cache no longer holds what it held then")
        dropPins(from: tokens)
        for part in parts.joined() { part.truncate(to: tokens) }
        restore(seen: tokens, frame: frame)
    }

    private func dropPins(from position: Int) {
        let left = pins.clamped(to: 0..<position)
        if left != pins { setPins(left) }
    }
}

extension LayerCache {
    fileprivate func canTruncate(to tokens: Int, seen: Int) -> Bool {
        guard scores == nil, chosen == nil, tokens >= origin else { return false }
        switch plan.rule {
        case .everything: return true
        case .recent(let slots, _): return seen - origin <= slots
        case .scored, .once: return false
        }
    }

    fileprivate func truncate(to tokens: Int) {
        restore(used: tokens - origin, chosen: nil)
        endPrompt(at: min(promptEnd, tokens))
    }
}
