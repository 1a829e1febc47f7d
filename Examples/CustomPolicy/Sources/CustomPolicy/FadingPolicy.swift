import Foundation
import MorphKV

/// Keeps the first tokens, the recent ones, and those whose attention has faded least.
///
/// An eviction policy outside of the MorphKV package: a value with a descriptor and a rule. The rule is composed of
/// parts that run on the device, so it is as fast as the policies that come with the package.
public struct FadingPolicy: CachePolicy {
    /// Its entry in a registry.
    public static let descriptor = PolicyDescriptor(
        name: "fading", summary: "keeps what was attended to most, older attention counting less",
        source: "an example",
        parameters: [
            .capacity(in: 8...Int.max, "entries per KV head, the current token included"),
            .number("halfLife", in: 1...1e6, default: 64, "tokens after which attention counts half"),
        ])

    /// Entries per KV head, the current token included.
    public var capacity: Int
    /// Tokens after which attention counts half.
    public var halfLife: Double

    /// Creates the policy.
    public init(capacity: Int, halfLife: Double = 64) {
        self.capacity = capacity
        self.halfLife = halfLife
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(capacity: arguments.integer("capacity"), halfLife: arguments.number("halfLife"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments { PolicyArguments(["capacity": capacity, "halfLife": halfLife]) }

    /// A sum of all weights ever received that fades with every token.
    public func rule(for layer: LayerGeometry) -> RetentionRule {
        .scored(
            ScoringRule(
                capacity: capacity, window: capacity / 4, sinks: 2,
                accumulation: .cumulative(decay: Float(pow(0.5, 1 / halfLife)))))
    }
}
