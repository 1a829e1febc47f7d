/// Compares one prediction with one reference answer; named as the published function that defines it.
///
/// The published programs are Python; the metrics of this package give what they give, their oddities included, because
/// that is what makes numbers comparable with the papers' tables.
public struct AnswerMetric: Sendable {
    /// The name of the published function, for instance `qa_f1_score`.
    public let name: String
    /// Whether the texts have to be segmented into Chinese words first, which needs jieba.
    public let segmentsChinese: Bool

    private let compare: @Sendable (Comparison) -> Double?

    init(_ name: String, segmentsChinese: Bool = false, _ compare: @escaping @Sendable (Comparison) -> Double?) {
        self.name = name
        self.segmentsChinese = segmentsChinese
        self.compare = compare
    }

    /// Creates a metric.
    ///
    /// - Parameters:
    ///   - name: What it is called in results and reports.
    ///   - score: The score of a prediction against a reference, from 0 to 1.
    public init(_ name: String, score: @escaping @Sendable (_ prediction: String, _ reference: String) -> Double) {
        self.init(name) { score($0.prediction.string, $0.reference.string) }
    }

    /// The score of a comparison, or `nil` where the published code raises an `IndexError` because the reference is
    /// not of the form it expects.
    func score(_ comparison: Comparison) -> Double? { compare(comparison) }

    /// The score of one prediction against one reference.
    ///
    /// - Parameters:
    ///   - prediction: The text that a model wrote.
    ///   - reference: The answer that the benchmark expects.
    ///   - classes: All class names, for classification.
    ///   - segmenter: Splits Chinese text into words; only metrics with ``segmentsChinese`` ask it.
    /// - Returns: A score, for most metrics from 0 to 1; 0 where the published code gives up.
    public func score(
        prediction: String, reference: String, classes: [String] = [],
        segmenter: any ChineseSegmenter = JiebaSegmenter()
    ) async throws -> Double {
        let texts = segmentsChinese ? [CodePoints(prediction), CodePoints(reference)] : []
        let segmentation = try await Segmentation(of: texts, by: segmenter)
        let comparison = Comparison(
            prediction: CodePoints(prediction), reference: CodePoints(reference),
            classes: classes.map(CodePoints.init(_:)),
            segmentation: segmentation)
        return score(comparison) ?? 0
    }
}

/// What a metric looks at.
struct Comparison: Sendable {
    var prediction: CodePoints
    var reference: CodePoints
    var classes: [CodePoints] = []
    var segmentation = Segmentation()

    /// The words that jieba finds in the prediction.
    var predictionWords: [CodePoints] { segmentation.words(of: prediction) }
    /// The words that jieba finds in the reference.
    var referenceWords: [CodePoints] { segmentation.words(of: reference) }
}
