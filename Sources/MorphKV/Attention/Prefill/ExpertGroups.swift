internal import Ggml

/// Tokens by the experts that they chose.
struct ExpertGroups {
    /// An expert that some tokens chose, and where they are in ``tokens``.
    struct Group {
        let expert: Int
        let range: Range<Int>
    }

    /// Experts that each token has.
    let used: Int
    /// The experts that some tokens chose.
    let list: [Group]
    /// The tokens of one expert after those of the other.
    let tokens: [Int32]
    /// Where the results of ``tokens`` go, among `used` results of each token.
    let places: [Int32]
    /// What these results are multiplied by.
    let shares: [Float]

    /// - Parameters:
    ///   - choice: `used` experts of each token.
    ///   - shares: what the results of each are multiplied by.
    init(_ choice: [Int32], shares: [Float], _ experts: FeedForward.Experts) {
        used = experts.used
        var starts = [Int](repeating: 0, count: experts.count + 1)
        for expert in choice { starts[Int(expert) + 1] += 1 }
        for expert in 0..<experts.count { starts[expert + 1] += starts[expert] }
        list = (0..<experts.count).lazy.map { Group(expert: $0, range: starts[$0]..<starts[$0 + 1]) }
            .filter { !$0.range.isEmpty }
        var sorted = [Int32](repeating: 0, count: choice.count)
        for (place, expert) in choice.enumerated() {
            sorted[starts[Int(expert)]] = Int32(place)
            starts[Int(expert)] += 1
        }
        places = sorted
        tokens = sorted.map { $0 / Int32(experts.used) }
        self.shares = sorted.map { shares[Int($0)] }
    }

    /// All tokens with the same experts: no groups are larger.
    static func largest(tokens: Int, _ experts: FeedForward.Experts) -> ExpertGroups {
        let choice = (0..<tokens).flatMap { _ in 0..<Int32(experts.used) }
        return ExpertGroups(choice, shares: Array(repeating: 0, count: choice.count), experts)
    }
}

extension ExpertGroups {
    /// The same as a part of a graph, and where the results come together.
    struct Inputs {
        let groups: ExpertGroups
        let tokens: Tensor
        let places: Tensor
        let shares: Tensor
        /// `[width, used * tokens]`.
        let results: Tensor

        /// - Parameter width: of a result.
        init(_ groups: ExpertGroups, width: Int, in graph: Graph) {
            let count = groups.places.count
            self.groups = groups
            tokens = graph.input(.i32, [count], name: "tokens")
            places = graph.input(.i32, [count], name: "places")
            shares = graph.input(.f32, [count], name: "shares")
            results = graph.input(.f32, [width, count], name: "results")
        }

        /// To be called when the graph has memory.
        func write() {
            tokens.write(groups.tokens)
            places.write(groups.places)
            shares.write(groups.shares)
        }
    }

    /// An upper bound on the operations, views and inputs that they take in a graph.
    var operations: Int { 8 + 28 * list.count }
}
