internal import ArgumentParser
internal import Foundation
internal import MorphKV

struct RecallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recall", abstract: "Measures what a context still knows after it was cut, for several methods.",
        discussion: """
            For every method and ratio: how well the model repeats the text, and how many questions it answers right. A table
            in Markdown, or with --json one object per line. Scores that a calibration of the model gives (augur) are found
            while the text is read; without a calibration these methods are left out.
            """)

    @OptionGroup var modelFlags: ModelFlags

    @Option(help: "The text.")
    var context: String

    @Option(help: "Questions, one JSON object per line: {\"question\": ..., \"answer\": how the answer must begin}.")
    var questions: String?

    @Option(help: "The shares of the entries that stay, joined by commas.")
    var ratios = "1,0.7,0.5,0.3,0.2,0.1"

    @OptionGroup var contextFlags: ContextFlags

    @OptionGroup var types: CacheTypeFlags

    @OptionGroup var repetition: RepetitionFlags

    @Option(help: "How the model is asked to repeat the text (default: the paper's words).")
    var request: String?

    @Flag(help: "Print one JSON object per line.")
    var json = false

    func run() throws {
        let model = try modelFlags.load()
        let shares = try ratios.split(separator: ",").map { word in
            guard let ratio = Double(word) else { throw ValidationError("'\(word)' is not a ratio") }
            return ratio
        }
        let asked = try questions.map { try Self.questions($0) } ?? []
        let hasCalibration = try model.calibration() != nil
        let whole = try CompressedContext(
            reading: Input.text(ofFile: context), after: contextFlags.system, model: model,
            options: types.options(FullPolicy(), default: .f32), scoredBy: hasCalibration ? .calibration : nil,
            threads: modelFlags.threadCount)
        var prompt = ReconstructionPrompt(chunk: repetition.chunk)
        if let request { (prompt.first, prompt.next) = (.text(request), .text(request)) }
        if !json {
            print("| method | ratio | bytes | log-likelihood (nats per token) | right answers | seconds to cut |")
            print("|---|---|---|---|---|---|")
        }
        for method in Recall.Method.allCases where hasCalibration || !method.needsCalibration {
            let results = try Recall.measure(
                whole, method, ratios: shares, questions: asked, prompt: prompt, threads: modelFlags.threadCount)
            for result in results { try show(result) }
        }
    }

    private func show(_ result: Recall) throws {
        if json { return try Output.printJSON(result) }
        let answers = result.questions > 0 ? "\(result.right) of \(result.questions)" : "-"
        print(
            String(
                format: "| %@ | %.1f | %d | %.3f | %@ | %.2f |", result.method.rawValue, result.ratio, result.bytes,
                result.logLikelihood, answers, result.seconds))
    }

    private static func questions(_ path: String) throws -> [Recall.Question] {
        try Input.text(ofFile: path).split(separator: "\n").map {
            try JSONDecoder().decode(Recall.Question.self, from: Data($0.utf8))
        }
    }
}
