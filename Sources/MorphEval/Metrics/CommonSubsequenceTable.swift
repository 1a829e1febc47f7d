/// The classical table of longest common subsequences, and the walk back through it that `rouge` 1.0.1 takes.
struct CommonSubsequenceTable {
    /// Row-major lengths; kept between calls so that a summary of many sentences allocates once.
    private var lengths: [UInt16] = []

    /// The words of the longest common subsequence that the walk finds, in any order; `nil` if the walk would nest more
    /// than `maximumCalls` function calls.
    ///
    /// The walk starts at the far corner and takes the diagonal at equal words, goes up only if that keeps strictly
    /// more, and to the left otherwise. Several subsequences may be longest; this one is the package's.
    mutating func commonWords(_ x: [Int32], _ y: [Int32], maximumCalls: Int) -> [Int32]? {
        // Each call takes at most one step in each direction, and the last one makes none.
        guard min(x.count, y.count) < maximumCalls else { return nil }
        fill(x, y)
        let width = y.count + 1
        var words: [Int32] = []
        var i = x.count
        var j = y.count
        var calls = 1
        while i > 0, j > 0 {
            calls += 1
            if calls > maximumCalls { return nil }
            if x[i - 1] == y[j - 1] {
                words.append(x[i - 1])
                i -= 1
                j -= 1
            } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
                i -= 1
            } else {
                j -= 1
            }
        }
        return words
    }

    private mutating func fill(_ x: [Int32], _ y: [Int32]) {
        let width = y.count + 1
        let size = (x.count + 1) * width
        if lengths.count < size { lengths = [UInt16](repeating: 0, count: size) }
        lengths.withUnsafeMutableBufferPointer { lengths in
            lengths[0..<width].update(repeating: 0)
            for i in 1..<(x.count + 1) {
                let above = (i - 1) * width
                let here = i * width
                let word = x[i - 1]
                lengths[here] = 0
                for j in 1..<width {
                    lengths[here + j] =
                        word == y[j - 1]
                        ? lengths[above + j - 1] + 1 : max(lengths[above + j], lengths[here + j - 1])
                }
            }
        }
    }
}
