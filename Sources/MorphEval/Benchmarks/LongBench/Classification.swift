extension AnswerMetric {
    /// One over the number of class names that the prediction mentions, if the right one is among them: LongBench's
    /// `classification_score`.
    public static let classification = AnswerMetric("classification_score") { comparison in
        var mentioned = comparison.classes.filter { comparison.prediction.contains($0) }
        // Class names that are part of the right one are dropped. The published loop removes from the list that it walks
        // over, so the name after a removed one is never looked at.
        var index = 0
        while index < mentioned.count {
            let name = mentioned[index]
            if comparison.reference.contains(name), name != comparison.reference,
                let first = mentioned.firstIndex(of: name)
            {
                mentioned.remove(at: first)
            }
            index += 1
        }
        return mentioned.contains(comparison.reference) ? 1 / Double(mentioned.count) : 0
    }
}
