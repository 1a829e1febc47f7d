/// The recall of a needle by the depth at which it was hidden and the length of the text.
enum NeedleHeatMap {
    /// The heat map of a run.
    static func of(_ run: EvaluationRun) -> HeatMap? {
        guard let recall = run.scores.first else { return nil }
        let places = run.lines.map { line in
            Place(
                length: line.record.value["length"]?.integer ?? 0, depth: line.record.value["depth"]?.double ?? 0)
        }
        var values: [Place: Double] = [:]
        for (place, share) in zip(places, recall.samples) { values[place] = share / 100 }
        let lengths = Set(places.map(\.length)).sorted()
        let depths = Set(places.map(\.depth)).sorted()
        return HeatMap(
            title: "Needle: \(recall.name) in percent, \(run.settings.model), \(run.settings.policy)",
            xLabel: "length in tokens", yLabel: "depth in percent", columns: lengths.map(String.init),
            rows: depths.map(ChartScale.label),
            shares: depths.map { depth in lengths.map { values[Place(length: $0, depth: depth)] } })
    }

    private struct Place: Hashable {
        let length: Int
        let depth: Double
    }
}
