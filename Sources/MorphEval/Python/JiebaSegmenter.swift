/// jieba 0.42.1 with its default dictionary and the hidden Markov model, as LongBench uses it.
///
/// jieba runs in a Python process; one call segments any number of texts, so that the dictionary is loaded once.
public struct JiebaSegmenter: ChineseSegmenter {
    /// The version whose words the published scores are made of.
    public static let version = "0.42.1"

    private let helper: PythonHelper

    /// Creates a segmenter.
    ///
    /// - Parameter interpreter: The Python that has jieba: a name looked up in `PATH`, or a path; by default that of the
    ///   environment variable `MORPHKV_PYTHON`, or `python3`.
    public init(interpreter: String? = nil) {
        helper = PythonHelper(
            interpreter: interpreter ?? PythonHelper.defaultInterpreter, program: Self.program,
            requirement: "jieba==\(Self.version)")
    }

    /// The words of each text.
    ///
    /// - Throws: ``EvaluationError`` of kind ``EvaluationError/Kind/missingPackage`` if Python or jieba is missing or has
    ///   another version; its description says how to install it.
    public func segment(_ texts: [String]) async throws -> [[String]] {
        let answer = try await helper.run(texts, as: Answer.self)
        guard answer.version == Self.version else {
            throw EvaluationError(
                .missingPackage,
                "\(helper.interpreter) has jieba \(answer.version), and the published scores need \(Self.version): "
                    + "install it with `pip install \(helper.requirement)`")
        }
        return answer.words
    }

    private struct Answer: Decodable {
        let version: String
        let words: [[String]]
    }

    private static let program = """
        import json, sys
        import jieba
        jieba.setLogLevel(60)
        texts = json.load(open(sys.argv[1], "rb"))
        words = [list(jieba.cut(text, cut_all=False)) for text in texts]
        json.dump({"version": jieba.__version__, "words": words}, sys.stdout)
        """
}
