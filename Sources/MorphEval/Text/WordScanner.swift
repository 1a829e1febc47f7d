extension CodePoints {
    /// The maximal runs of word characters (`\w`) and of everything else, in order: `\b` is exactly the border
    /// between two of them.
    func wordRuns() -> [(text: CodePoints, isWord: Bool)] {
        var runs: [(text: CodePoints, isWord: Bool)] = []
        var start = scalars.startIndex
        while start < scalars.endIndex {
            let isWord = scalars[start].isPythonWord
            let end = scalars[start...].firstIndex { $0.isPythonWord != isWord } ?? scalars.endIndex
            runs.append((CodePoints(slice: scalars[start..<end]), isWord))
            start = end
        }
        return runs
    }

    /// `re.sub(r"\b(a|b|...)\b", ..., text)`: every whole word that `replacements` names is replaced.
    func replacingWords(_ replacements: [CodePoints: CodePoints]) -> CodePoints {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(count)
        for run in wordRuns() {
            let replacement = run.isWord ? replacements[run.text] : nil
            result.append(contentsOf: (replacement ?? run.text).scalars)
        }
        return CodePoints(slice: ArraySlice(result))
    }
}
