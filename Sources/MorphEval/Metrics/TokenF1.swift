/// The harmonic mean of precision and recall over two bags of tokens, as in SQuAD's and LongBench's `f1_score`.
enum TokenF1 {
    static func score(_ prediction: [CodePoints], _ reference: [CodePoints]) -> Double {
        var available: [CodePoints: Int] = [:]
        for token in reference { available[token, default: 0] += 1 }
        var same = 0
        for token in prediction {
            guard let left = available[token], left > 0 else { continue }
            available[token] = left - 1
            same += 1
        }
        guard same > 0 else { return 0 }
        let precision = Double(same) / Double(prediction.count)
        let recall = Double(same) / Double(reference.count)
        return (2 * precision * recall) / (precision + recall)
    }
}
