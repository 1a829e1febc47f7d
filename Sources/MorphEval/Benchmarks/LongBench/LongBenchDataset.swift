/// The datasets of LongBench (arXiv 2308.14508).
public enum LongBenchDataset: String, Sendable, Hashable, CaseIterable, Codable {
    /// Questions about stories.
    case narrativeQA = "narrativeqa"
    /// Questions about scientific papers.
    case qasper
    /// Questions about documents of several kinds.
    case multiFieldQA = "multifieldqa_en"
    /// The same in Chinese.
    case multiFieldQAChinese = "multifieldqa_zh"
    /// Questions over several documents.
    case hotpotQA = "hotpotqa"
    /// Questions over several articles of Wikipedia.
    case twoWikiMultihopQA = "2wikimqa"
    /// Questions in several steps.
    case musique
    /// Chinese questions over web pages.
    case duReader = "dureader"
    /// Summaries of government reports.
    case govReport = "gov_report"
    /// Summaries of meetings, asked for by a question.
    case qmSum = "qmsum"
    /// Summaries of several news articles.
    case multiNews = "multi_news"
    /// Summaries of Chinese meetings.
    case vcSum = "vcsum"
    /// The type of a question, after examples.
    case trec
    /// Questions about general knowledge, after examples.
    case triviaQA = "triviaqa"
    /// Summaries of dialogues, after examples.
    case samSum = "samsum"
    /// The category of Chinese news, after examples.
    case lsht
    /// How many different paragraphs there are.
    case passageCount = "passage_count"
    /// Which paragraph a summary belongs to.
    case passageRetrieval = "passage_retrieval_en"
    /// The same in Chinese.
    case passageRetrievalChinese = "passage_retrieval_zh"
    /// The next line of a file of code.
    case lcc
    /// The next line, given other files of the repository.
    case repoBenchP = "repobench-p"

    /// The metric of the dataset, `dataset2metric` of LongBench's `eval.py`.
    public var metric: AnswerMetric {
        switch self {
        case .narrativeQA, .qasper, .multiFieldQA, .hotpotQA, .twoWikiMultihopQA, .musique, .triviaQA: .questionF1
        case .multiFieldQAChinese: .chineseQuestionF1
        case .govReport, .qmSum, .multiNews, .samSum: .rougeL
        case .duReader, .vcSum: .chineseRougeL
        case .trec, .lsht: .classification
        case .passageRetrieval: .retrieval
        case .passageRetrievalChinese: .chineseRetrieval
        case .passageCount: .count
        case .lcc, .repoBenchP: .codeSimilarity
        }
    }

    /// Whether only the first line of a prediction counts, after any leading newlines: the answers to prompts that show
    /// examples, which models go on with.
    public var scoresFirstLineOnly: Bool {
        switch self {
        case .trec, .triviaQA, .samSum, .lsht: true
        default: false
        }
    }

    /// Whether LongBench puts the prompt into the model's chat template; prompts of examples and of code it does not.
    public var usesChatTemplate: Bool {
        switch self {
        case .trec, .triviaQA, .samSum, .lsht, .lcc, .repoBenchP: false
        default: true
        }
    }

    /// Whether generation also ends at the first newline, after at least one token.
    public var stopsAtNewline: Bool { self == .samSum }
}
