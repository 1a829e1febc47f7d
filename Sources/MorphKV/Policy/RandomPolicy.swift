/// The prompt, the recent window, and other entries at random: what a score has to beat.
///
/// Source: "Random Attention", arXiv 2609.03430, whose `random_pp` keeps the prompt and draws the others anew at every
/// eviction, each KV head for itself. Here an entry keeps the number that it drew, a hash of the seed, the layer, the KV
/// head and its position: what is left is then a uniform sample of the whole answer, and every run the same.
public struct RandomPolicy: CachePolicy {
    /// Its entry in the registry.
    public static let descriptor = PolicyDescriptor(
        name: "random", summary: "keeps the prompt, the recent window and other entries at random",
        source: "Random Attention, arXiv 2609.03430",
        parameters: [
            .capacity("entries per KV head, the current token included"),
            .integer("window", in: 0...Int.max, default: 32, "recent tokens that stay"),
            .integer("seed", in: 0...Int(UInt32.max), default: 0, "what the random numbers are made from"),
            .prompt(default: 1),
        ])

    /// Entries a KV head may hold, the current token included.
    public var capacity: Int
    /// The recent tokens that always stay.
    public var window: Int
    /// What the random numbers are made from.
    public var seed: UInt32
    /// The share of the capacity that the first prompt is sure of.
    public var prompt: Double

    /// Creates the policy.
    public init(capacity: Int, window: Int = 32, seed: UInt32 = 0, prompt: Double = 1) {
        self.capacity = capacity
        self.window = window
        self.seed = seed
        self.prompt = prompt
    }

    /// Creates the policy from its parameters.
    public init(_ arguments: PolicyArguments) {
        self.init(
            capacity: arguments.integer("capacity"), window: arguments.integer("window"),
            seed: UInt32(arguments.integer("seed")), prompt: arguments.number("prompt"))
    }

    /// The values of its parameters.
    public var arguments: PolicyArguments {
        PolicyArguments(["capacity": capacity, "window": window, "seed": seed, "prompt": prompt])
    }

    /// A random number per entry.
    public func rule(for layer: LayerGeometry) -> RetentionRule {
        .scored(
            ScoringRule(capacity: capacity, window: window, accumulation: .random(seed: seed))
                .keeping(prompt: prompt))
    }
}
