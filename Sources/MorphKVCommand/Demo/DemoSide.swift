internal import Foundation
internal import MorphDemo
internal import MorphEval

/// One of the diaries that the demo writes: its text so far and what it has cost.
struct DemoSide: Sendable {
    let name: String
    let task: DiaryTask
    private(set) var text: String
    private(set) var progress: DiaryWriter.Progress?
    private(set) var cacheBytes = 0
    private var honoured = (passed: 0, checks: 0)

    init(name: String, task: DiaryTask) {
        self.name = name
        self.task = task
        text = task.sample.prefix
    }

    /// Takes a new piece; instructions are counted whenever an entry is complete.
    mutating func add(_ progress: DiaryWriter.Progress, cacheBytes: Int) {
        text += progress.text
        self.progress = progress
        self.cacheBytes = cacheBytes
        if progress.text.contains("\n") { count() }
    }

    /// Counts the instructions of the whole diary.
    mutating func finish() { honoured = DiaryScore(answer, to: task).instructions }

    private var answer: String { String(text.dropFirst(task.sample.prefix.count)) }

    private mutating func count() {
        let written = task.sample.blocks(of: answer).numbers.max() ?? 0
        honoured = DiaryScore(answer, to: task, upTo: written).instructions
    }

    /// The lines of ``summary``.
    static let summaryLines = 3

    /// What it has cost and is worth so far, in lines for narrow columns.
    var summary: [String] {
        guard let progress else { return Array(repeating: "", count: Self.summaryLines) }
        return [
            String(format: "%d tokens, %.0f per s", progress.tokens, progress.tokensPerSecond),
            "\(Output.bytes(cacheBytes)) cache",
            "\(honoured.passed) of \(honoured.checks) honoured",
        ]
    }

    /// The last lines of the text, broken between words.
    func lines(_ count: Int, width: Int) -> [String] {
        var lines: [String] = []
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false).reversed() {
            lines = Self.broken(paragraph, width: width) + lines
            if lines.count >= count { break }
        }
        return Array(lines.suffix(count))
    }

    private static func broken(_ text: Substring, width: Int) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = String(word.prefix(width))
            } else if last.count + 1 + word.count <= width {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word.prefix(width)))
            }
        }
        return lines
    }
}
