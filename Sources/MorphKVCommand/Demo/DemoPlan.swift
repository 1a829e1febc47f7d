internal import Foundation
internal import MorphDemo
internal import MorphEval
internal import MorphKV

/// What the demo writes and measures.
struct DemoPlan {
    /// One of the two caches shown beside each other.
    struct Side {
        let name: String
        let policy: any CachePolicy
    }

    /// The share of the response that fits into the constant-size caches.
    let share: DemoCapacity
    /// The diary that is shown.
    let task: DiaryTask
    /// The diaries that are measured.
    let tasks: [DiaryTask]
    /// The policies as they are, which have lines in the charts.
    let chartedPolicies = PolicyRegistry.standard.descriptors.map(\.name)
    /// What is measured.
    let methods: [DemoMethod]

    /// Diaries that are measured.
    var samples: Int { tasks.count }

    init(seed: UInt32, isQuick: Bool) throws {
        let share = DemoCapacity.share(1, of: 4)
        self.share = share
        // Long enough for 1,500 tokens and more.
        var index: UInt32 = 0
        while DiaryTask(seed: seed, index: index).sample.number < 58 { index += 1 }
        task = DiaryTask(seed: seed, index: index)
        tasks = DiaryTask.tasks(seed: seed, count: isQuick ? 2 : 8)
        let others: [DemoCapacity] = [2, 4, 8, 16].map { .share(1, of: $0) }.filter { $0 != share }
        methods =
            try DemoMethod.methods(DemoMethod.allPolicies(), [share])
            + DemoMethod.methods(chartedPolicies.filter { $0 != FullPolicy.descriptor.name }, others)
    }
    /// The two caches for a diary of that many tokens.
    func sides(responseTokens: Int) -> [Side] {
        let capacity = share.entries(forResponse: responseTokens)
        return [
            Side(name: "full cache", policy: FullPolicy()),
            Side(name: "morphkv, \(capacity) slots per head", policy: MorphKVPolicy(capacity: capacity)),
        ]
    }

    /// What is about to be shown.
    func introduction(_ model: Model, _ sides: [Side], responseTokens: Int) throws -> String {
        let bytes = try sides.map {
            try CachePlan(model, CacheOptions(policy: $0.policy), tokens: responseTokens).bytes
        }
        let percent = 100 * bytes[1] / max(1, bytes[0])
        return """
            The same diary of \(task.sample.number) weeks, about \(responseTokens) tokens, written twice: with everything \
            in the cache (\(Output.bytes(bytes[0]))), and with slots for \(share) of the response, \(percent) % of that \
            memory (\(Output.bytes(bytes[1]))). The instructions stand in the prompt; plans are made in the diary itself \
            and have to be kept weeks later.

            \(task.sample.prompt)

            """
    }

    /// How it was measured, in sentences.
    var notes: [String] {
        [
            "All policies wrote the same \(samples) diaries of 20 to 60 weeks, greedily. With so few, some percent mean "
                + "nothing; docs/accuracy.md has a table over more.",
            "A capacity like \(share) is that share of the tokens that the full cache's response to the same prompt has; "
                + "its mean stands beside it. A window that a policy needs is its default, but at most a quarter of that.",
            "snapkv and pyramidkv cut the prompt to the capacity and grow from there: their memory is not constant.",
            "A check whose entry is missing has failed. Bytes are the most of any diary.",
        ]
    }
}
