public import ArgumentParser
public import MorphKV

extension ByteBudget: ExpressibleByArgument {
    /// Reads "64M", "512KiB" or "1/8".
    public init?(argument: String) { self.init(argument) }
}

/// How long a sequence gets, where that is known before it begins: what a share of the full cache's bytes is a share of.
struct SequenceLength {
    /// Tokens at the end.
    let tokens: Int
    /// Tokens of the first prompt; nil if they are not known.
    var prompt: Int?
}
