internal import Foundation

/// One row of a benchmark: a figure of ours, libllama's if there is one, and their ratio.
struct BenchmarkRow: Codable {
    /// What was measured.
    let name: String
    let unit: String
    /// The median over all rounds.
    let ours: Double
    /// The median over all rounds, of libllama's faster setting.
    let theirs: Double?
    /// The median of the rounds' ratios; above 1 is in our favour.
    let ratio: Double?
    /// The lowest and the highest ratio of a round, or figure where there is no ratio.
    let spread: [Double]
    /// What the measure is about besides.
    var note: String?

    /// A row of a Markdown table.
    var row: String {
        func number(_ value: Double?) -> String { value.map { String(format: "%.2f", $0) } ?? "" }
        let range = spread.map { String(format: "%.2f", $0) }.joined(separator: " to ")
        return
            "| \(name) | \(number(ours)) | \(number(theirs)) | \(unit) | \(number(ratio)) | \(range) | \(note ?? "") |"
    }

    static let header = """
        | measure | ours | theirs | unit | ratio | lowest to highest | |
        |---|---:|---:|---|---:|---|---|
        """

    /// Prints measures at once, as rows of a table or as one JSON object each.
    static func show(_ measures: [BenchmarkRow], json: Bool, withHeader: Bool = false) throws {
        if json { return try measures.forEach { try Output.printJSON($0) } }
        try Output.write(((withHeader ? [header] : []) + measures.map(\.row)).map { $0 + "\n" }.joined())
    }
}

extension BenchmarkRow {
    /// A figure of ours alone.
    init(_ name: String, _ values: [Double], unit: String, note: String? = nil) {
        self.name = name
        self.unit = unit
        self.note = note
        ours = values.median
        theirs = nil
        ratio = nil
        spread = [values.min() ?? 0, values.max() ?? 0]
    }

    /// Seconds of ours against seconds of another setting, round by round.
    init(_ name: String, ours: [Double], theirs: [Double], unit: String, scale: Double, note: String? = nil) {
        self.name = name
        self.unit = unit
        self.note = note
        self.ours = ours.median * scale
        self.theirs = theirs.median * scale
        let ratios = zip(theirs, ours).map { $0 / $1 }
        ratio = ratios.median
        spread = [ratios.min() ?? 0, ratios.max() ?? 0]
    }
}
