internal import Foundation

/// Where values lie along an axis.
struct ChartScale {
    /// How values are spread.
    enum Kind {
        case linear
        /// Powers of two at equal distances.
        case doubling
    }

    private let kind: Kind
    private let low: Double
    private let high: Double
    private let start: Double
    private let end: Double
    /// The values that are written on the axis.
    let ticks: [Double]

    /// - Parameters:
    ///   - values: What has to find room.
    ///   - start: The coordinate of the lowest value.
    ///   - end: The coordinate of the highest.
    init(_ values: [Double], kind: Kind, from start: Double, to end: Double, includesZero: Bool = false) {
        let values = (values + (includesZero ? [0] : [])).filter(\.isFinite)
        self.kind = kind
        self.start = start
        self.end = end
        let lowest = values.min() ?? 0
        let highest = values.max() ?? 1
        switch kind {
        case .linear:
            let step = Self.step((highest > lowest ? highest - lowest : max(abs(highest), 1)) / 5)
            low = (lowest / step).rounded(.down) * step
            high = max((highest / step).rounded(.up) * step, low + step)
            let count = Int(((high - low) / step).rounded())
            ticks = (0...count).map { [low] in low + Double($0) * step }
        case .doubling:
            low = log2(max(lowest, 1)).rounded(.down)
            high = max(log2(max(highest, 1)).rounded(.up), low + 1)
            let stride = max(1, Int(((high - low) / 8).rounded(.up)))
            ticks = Swift.stride(from: Int(low), through: Int(high), by: stride).map { exp2(Double($0)) }
        }
    }

    /// The coordinate of a value.
    func position(_ value: Double) -> Double {
        let place = kind == .linear ? value : log2(max(value, 1))
        return start + (place - low) / (high - low) * (end - start)
    }

    /// 1, 2 or 5 times a power of ten.
    private static func step(_ rough: Double) -> Double {
        let power = pow(10, log10(rough).rounded(.down))
        return ([1, 2, 5].first { $0 * power >= rough } ?? 10) * power
    }

    /// A number without needless digits.
    static func label(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int(value)) }
        return String(format: "%.3g", value)
    }
}
