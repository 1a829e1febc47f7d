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

            With --attention no cut text is asked: the text is fed as if the model had written it, and for every policy and \
            ratio it is measured which share of the full cache's attention falls on what the cache holds, by distance, \
            beside the best that any policy could do with as many entries, and a random choice.
            """)

    @OptionGroup var modelFlags: ModelFlags

    @Option(help: "The text.")
    var context: String

    @Option(help: "Questions, one JSON object per line: {\"question\": ..., \"answer\": how the answer must begin}.")
    var questions: String?

    @Option(
        help: ArgumentHelp(
            "The shares of the entries that stay, joined by commas (default: 1,0.7,0.5,0.3,0.2,0.1; with --attention, where "
                + "they are slots for the text's tokens, 0.5,0.25,0.125,0.0625)."))
    var ratios: String?

    @Option(
        help: ArgumentHelp(
            "Instead of --ratios: the bytes that stay, joined by commas, each as 64M or as a share like 1/8 of the whole text's; "
                + "with --attention of what the full cache of a part takes at its end, everything counted that a policy keeps."
        ),
        transform: { text in
            try text.split(separator: ",").map { word in
                guard let bytes = ByteBudget(String(word)) else {
                    throw ValidationError("'\(word)' is neither bytes like 64M nor a share like 1/8")
                }
                return bytes
            }
        })
    var bytes: [ByteBudget] = []

    @OptionGroup var contextFlags: ContextFlags

    @OptionGroup var types: CacheTypeFlags

    @OptionGroup var repetition: RepetitionFlags

    @Option(help: "How the model is asked to repeat the text (default: the paper's words).")
    var request: String?

    @OptionGroup var attentionFlags: AttentionRecallFlags

    @Flag(help: "Print one JSON object per line.")
    var json = false

    func validate() throws {
        if ratios != nil, !bytes.isEmpty {
            throw ValidationError("--ratios and --bytes do not go together: each says how much stays")
        }
        if attentionFlags.attention {
            guard questions == nil, request == nil, contextFlags.system.isEmpty else {
                throw ValidationError("--attention asks nothing: it takes no --questions, --request and --system")
            }
        } else if attentionFlags.isStated {
            throw ValidationError("--policy, --part and --prompt-share belong to --attention")
        }
    }

    func run() throws {
        let model = try modelFlags.load()
        if attentionFlags.attention { return try measureAttention(of: model) }
        let asked = try questions.map { try Self.questions($0) } ?? []
        let hasCalibration = try model.calibration() != nil
        let whole = try CompressedContext(
            reading: Input.text(ofFile: context), after: contextFlags.system, model: model,
            options: types.options(FullPolicy(), default: .f32), scoredBy: hasCalibration ? .calibration : nil,
            threads: modelFlags.threadCount)
        let all = whole.statistics.allocatedBytes
        let shares =
            bytes.isEmpty
            ? try shares(ratios ?? "1,0.7,0.5,0.3,0.2,0.1")
            : bytes.map { min(1, Double($0.bytes(ofFull: all)) / Double(all)) }
        var prompt = ReconstructionPrompt(chunk: repetition.chunk)
        if let request { (prompt.first, prompt.next) = (.text(request), .text(request)) }
        if !json {
            print("| method | bytes | ratio | log-likelihood (nats per token) | right answers | seconds to cut |")
            print("|---|---|---|---|---|---|")
        }
        for method in Recall.Method.allCases where hasCalibration || !method.needsCalibration {
            let results = try Recall.measure(
                whole, method, ratios: shares, questions: asked, prompt: prompt, threads: modelFlags.threadCount)
            for result in results { try show(result) }
        }
    }

    /// The ratios that a text joins by commas.
    func shares(_ text: String) throws -> [Double] {
        try text.split(separator: ",").map { word in
            guard let ratio = Double(word) else { throw ValidationError("'\(word)' is not a ratio") }
            return ratio
        }
    }

    private func show(_ result: Recall) throws {
        if json { return try Output.printJSON(result) }
        let answers = result.questions > 0 ? "\(result.right) of \(result.questions)" : "-"
        print(
            String(
                format: "| %@ | %d | %.3g | %.3f | %@ | %.2f |", result.method.rawValue, result.bytes, result.ratio,
                result.logLikelihood, answers, result.seconds))
    }

    static func questions(_ path: String) throws -> [Recall.Question] {
        try Input.text(ofFile: path).split(separator: "\n").map {
            try JSONDecoder().decode(Recall.Question.self, from: Data($0.utf8))
        }
    }
}
