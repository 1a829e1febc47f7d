extension CodePoints {
    /// The answer as SQuAD and LongBench compare it (`normalize_answer`): lower case, without ASCII punctuation, the
    /// words "a", "an" and "the" removed, white space collapsed.
    func normalizedAnswer() -> CodePoints {
        let bare = lowercased().removing(\.isASCIIPunctuation)
        return CodePoints.joined(bare.replacingWords(Self.articles).words())
    }

    /// One word of a Chinese answer as LongBench compares it (`normalize_zh_answer`): lower case, without ASCII and
    /// Chinese punctuation, without white space.
    func normalizedChineseAnswer() -> CodePoints {
        lowercased().removing {
            $0.isASCIIPunctuation || $0.isPythonSpace || Self.chinesePunctuation.contains($0)
        }
    }

    private static let articles: [CodePoints: CodePoints] = ["a": " ", "an": " ", "the": " "]

    /// The set that LongBench's `metrics.py` lists.
    private static let chinesePunctuation = Set(
        "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏."
            .unicodeScalars)
}
