internal import Foundation

/// How a policy's slots are spread over layers and KV heads; the total is the same.
public struct SlotBudgets: Sendable, Hashable {
    /// What has a number of slots of its own.
    public enum Spread: String, Sendable, Hashable, CaseIterable {
        /// Nothing: every KV head of every layer has the same.
        case even
        /// Each layer; its heads have the same.
        case layer
        /// Each KV head; on the CPU only.
        case head
    }

    /// What has a number of slots of its own.
    public var spread: Spread
    /// Whose counts of entries the numbers are solved from; nil until the policy is prepared for a model.
    private(set) var calibration: Calibration?
    /// Slots that each layer has a use for: those of its sliding window, nil where it sees everything.
    private var limits: [Int?] = []
    /// KV heads of each layer.
    private var heads: [Int] = []

    /// Spreads slots.
    public init(_ spread: Spread) { self.spread = spread }

    /// Every KV head of every layer has the same.
    public static let even = SlotBudgets(.even)

    /// The policies' parameter.
    static func parameter(default value: Spread) -> PolicyDescriptor.Parameter {
        .choice("budgets", default: value, "what has a share of the slots of its own, by the model's calibration")
    }

    /// The same with the model's calibration, if it is needed.
    ///
    /// - Throws: ``CacheError`` of kind `calibration` if it is missing or damaged.
    func prepared(for model: Model) throws -> SlotBudgets {
        guard spread != .even else { return self }
        var prepared = self
        prepared.calibration = try model.neededCalibration(for: "budgets=\(spread.rawValue)")
        prepared.limits = model.description.layers.map(\.slidingWindow)
        prepared.heads = model.description.layers.map(\.kvHeads)
        return prepared
    }

    /// Entries that each KV head of a layer may hold.
    ///
    /// - Parameters:
    ///   - mean: the mean over all heads of all layers.
    ///   - window: positions that always stay; every head has 2 entries more at least, unless its layer sees less.
    /// - Throws: ``CacheError`` of kind `invalidPolicy` if the mean leaves no room for that, of kind `calibration` if the
    ///   policy was not prepared for a model.
    func capacities(mean: Int, window: Int, in layer: LayerGeometry) throws -> [Int] {
        // Numbers that no cache can have are refused where it is planned.
        guard spread != .even, (0...Self.limit).contains(mean), (0...Self.limit).contains(window) else {
            return Array(repeating: mean, count: layer.kvHeads)
        }
        guard let calibration else {
            throw CacheError(.calibration, "budgets=\(spread.rawValue) needs a model with a calibration")
        }
        guard mean >= window + 2 else {
            throw CacheError(
                .invalidPolicy,
                "a capacity of \(mean) leaves layers no room beyond the \(window) entries that always stay: at least "
                    + "\(window + 2) is needed where each \(spread.rawValue) has its own share")
        }
        let counts = calibration.counts(window: window)
        switch spread {
        case .even, .layer:
            let needs = counts.map {
                zip($0, heads).map { counts, heads in counts.reduce(0) { $0 + Double($1) } / Double(heads) }
            }
            let budgets = Self.solve(
                needs, total: mean * calibration.layerCount, window: window, limits: limits)
            return Array(repeating: budgets[layer.layer], count: layer.kvHeads)
        case .head:
            let needs = counts.map { zip($0, heads).flatMap { $0.prefix($1).map(Double.init) } }
            let budgets = Self.solve(
                needs, total: mean * heads.reduce(0, +), window: window,
                limits: zip(limits, heads).flatMap { Array(repeating: $0, count: $1) })
            return Array(budgets.dropFirst(heads.prefix(layer.layer).reduce(0, +)).prefix(layer.kvHeads))
        }
    }

    private static let limit = 1 << 24

    /// The rules of a layer's KV heads, which differ in their capacity; see ``capacities(mean:window:in:)``.
    ///
    /// - Parameter kept: numbers of entries that always stay, such as the window and the sinks.
    func rules(
        mean: Int, keeping kept: [Int], in layer: LayerGeometry, _ rule: (_ capacity: Int) throws -> RetentionRule
    ) throws -> [RetentionRule] {
        let window = kept.allSatisfy((0...Self.limit).contains) ? kept.reduce(0, +) : -1
        return try capacities(mean: mean, window: window, in: layer).map(rule)
    }

    /// Whole numbers of slots that add up to a total, no place having more than its limit; what places at their limits
    /// cannot use goes to the others.
    ///
    /// - Parameters:
    ///   - counts: entries older than the window that exceed each threshold, `[threshold][place]`.
    ///   - limits: nil for places without one. Where all have one, the sum may be less than the total.
    static func solve(_ counts: [[Double]], total: Int, window: Int, limits: [Int?]) -> [Int] {
        var budgets = Array(repeating: 0, count: limits.count)
        var (free, rest) = (Array(limits.indices), total)
        while !free.isEmpty {
            let shares = solve(counts.map { counts in free.map { counts[$0] } }, total: rest, window: window)
            var below: [Int] = []
            for (place, share) in zip(free, shares) {
                budgets[place] = min(share, limits[place] ?? share)
                if budgets[place] == share { below.append(place) } else { rest -= budgets[place] }
            }
            if below.count == free.count { break }
            free = below
        }
        return budgets
    }

    /// Whole numbers of slots that add up to a total.
    ///
    /// The threshold is the same for all, so that an entry at the brink is needed as much wherever it is; then all are
    /// scaled to the total.
    ///
    /// - Parameter counts: entries older than the window that exceed each threshold, `[threshold][place]`.
    static func solve(_ counts: [[Double]], total: Int, window: Int) -> [Int] {
        let needs = counts.map { $0.map { $0 + Double(window + 2) } }
        let sums = needs.map { $0.reduce(0, +) }
        let nearest = sums.indices.min { abs(sums[$0] - Double(total)) < abs(sums[$1] - Double(total)) }!
        let (need, factor) = (needs[nearest], Double(total) / sums[nearest])
        var budgets = need.map { max(window + 2, Int(($0 * factor).rounded(.down))) }
        let rest = total - budgets.reduce(0, +)
        if rest < 0 { return cut(budgets, to: total, least: window + 2) }
        let neediest = need.indices.sorted { need[$0] != need[$1] ? need[$0] > need[$1] : $0 < $1 }
        for turn in 0..<rest { budgets[neediest[turn % neediest.count]] += 1 }
        return budgets
    }

    /// Takes from the largest, one after another, until the total holds or all have the least.
    private static func cut(_ budgets: [Int], to total: Int, least: Int) -> [Int] {
        func sum(_ most: Int) -> Int { budgets.reduce(0) { $0 + min($1, most) } }
        // The lowest level that leaves the total or more.
        var (low, level) = (least, budgets.max()!)
        while low < level {
            let middle = low + (level - low) / 2
            if sum(middle) < total { low = middle + 1 } else { level = middle }
        }
        var rest = level > least ? sum(level) - total : 0
        return budgets.map { budget in
            guard budget >= level, rest > 0 else { return min(budget, level) }
            rest -= 1
            return level - 1
        }
    }
}

extension Model {
    /// The calibration, which something needs.
    func neededCalibration(for what: String) throws -> Calibration {
        guard let calibration = try calibration() else {
            throw CacheError(
                .calibration,
                // Clients of a server read it too, whom its folders do not concern.
                "\(what) needs a calibration of the model, and there is no \(lazyCalibration.url.lastPathComponent); "
                    + "'morphkv calibrate -m \(url.lastPathComponent)' makes one")
        }
        return calibration
    }
}
