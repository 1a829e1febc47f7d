/// The largest difference between two series of logits, relative to their range.
struct LogitDifference {
    private(set) var relative: Float = 0
    private(set) var place = ""
    /// Where the greedy token differs although the margin exceeds the difference.
    private(set) var otherTokens: [String] = []

    mutating func note(_ ours: [Float], _ theirs: [Float], _ place: String) {
        let error = zip(ours, theirs).map { abs($0 - $1) }.max()!
        let range = theirs.max()! - theirs.min()!
        if !(error / range <= relative) {
            relative = error / range
            self.place = place
        }
        let sorted = theirs.sorted(by: >)
        if sorted[0] - sorted[1] > 2 * error, argmax(ours) != argmax(theirs) { otherTokens.append(place) }
    }
}

/// The index of the largest logit.
func argmax(_ logits: [Float]) -> Int { logits.indices.max { logits[$0] < logits[$1] }! }
