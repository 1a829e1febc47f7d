/// The benchmarks whose files can be read and whose predictions can be scored.
public enum Benchmark: String, Sendable, Hashable, CaseIterable, Codable {
    /// LongBench: 21 datasets in English, Chinese and code (THUDM/LongBench).
    case longBench = "longbench"
    /// LongWriter: long answers of a requested length (THUDM/LongWriter).
    case longWriter = "longwriter"
    /// LongGenBench: long answers in numbered blocks (mozhu621/LongGenBench).
    case longGenBench = "longgenbench"
    /// SQuAD 1.1: questions about paragraphs of Wikipedia.
    case squad
    /// GSM8K: grade-school mathematics (openai/grade-school-math).
    case gsm8k
    /// A needle in a haystack of essays.
    case needle = "niah"
    /// SCBench and the other tasks of KVzip: several questions about one context.
    case scBench = "scbench"
}
