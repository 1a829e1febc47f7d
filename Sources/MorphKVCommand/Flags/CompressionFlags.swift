internal import ArgumentParser
internal import MorphKV

/// Where the scores of entries come from.
enum ScoreKind: String, CaseIterable, ExpressibleByArgument {
    case kvzip, augur
}

/// Flags that say by which scores, and among which entries, the best are chosen.
struct CompressionFlags: ParsableArguments {
    @Option(
        help: """
            Where scores come from: kvzip (the model repeats the text: twice the reading; the default) or augur (foreseen by \
            the model's calibration while the text is read).
            """)
    var scores: ScoreKind?

    @Option(help: "Among which entries the best are chosen: pair (all), uniform (each head), layer, or head (whole).")
    var level = "pair"

    @Option(help: "For --level layer: what share of the budget every head has for certain.")
    var alpha = Compression.Defaults.alpha

    @Option(help: "For whole heads: first positions that the others keep.")
    var sinks = Compression.Defaults.sinks

    @Option(help: "For whole heads: most recent positions that the others see; 0 lets them grow.")
    var recent = Compression.Defaults.recent

    @Option(help: "How the layers' budgets differ: uniform, pyramid:BETA, or a file with one number per layer.")
    var curve = "uniform"

    @OptionGroup var repetition: RepetitionFlags

    @Option(help: "Last tokens of a part with which the request for the next part ends.")
    var overlap = 8

    @Option(help: "The request to repeat the first part (default: the paper's words).")
    var firstRequest: String?

    @Option(help: "The request to repeat a further part, before the overlap (default: the paper's words).")
    var nextRequest: String?

    /// Where scores come from.
    var source: Compression.Source { scores == .augur ? .calibration : .reconstruction(prompt) }

    private var prompt: ReconstructionPrompt {
        var prompt = ReconstructionPrompt(chunk: repetition.chunk, overlap: overlap)
        if let firstRequest { prompt.first = .text(firstRequest) }
        if let nextRequest { prompt.next = .text(nextRequest) }
        return prompt
    }

    func compressionLevel() throws -> Compression.Level {
        switch level {
        case "pair": return .pair
        case "uniform": return .uniform
        case "layer": return .layer(alpha: alpha)
        case "head": return .head(sinks: sinks, recent: recent)
        default: throw ValidationError("there is no level '\(level)': use pair, uniform, layer or head")
        }
    }

    func layerCurve() throws -> LayerCurve {
        if curve == "uniform" { return .uniform }
        if curve.hasPrefix("pyramid:") {
            guard let beta = Int(curve.dropFirst(8)) else { throw ValidationError("'\(curve)' has no whole number") }
            return .pyramid(beta: beta)
        }
        let words = try Input.text(ofFile: curve).split { $0.isWhitespace || $0 == "," }
        return .weights(
            try words.map { word in
                guard let number = Double(word) else { throw ValidationError("\(curve): '\(word)' is not a number") }
                return number
            })
    }
}
