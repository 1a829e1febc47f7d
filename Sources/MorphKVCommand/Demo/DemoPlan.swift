internal import Foundation
internal import MorphDemo
internal import MorphEval
internal import MorphKV

/// What the demo writes and measures.
struct DemoPlan {
    /// One of the caches shown beside each other.
    struct Side {
        let name: String
        let policy: any CachePolicy
        /// Bytes of the cache, and of tables that it shares with others.
        let bytes: Int
    }

    /// The share of the full cache's bytes, or the bytes, that the constant-size caches have.
    let share: DemoCapacity
    /// The diary that is shown.
    let task: DiaryTask
    /// The diaries that are measured.
    let tasks: [DiaryTask]
    /// The policies as they are, which have lines in the charts.
    let chartedPolicies: [String]
    /// What is measured.
    let methods: [DemoMethod]
    private let model: Model
    /// Which calibration there is.
    private let calibration: String
    private let measuresVariants: Bool

    /// Diaries that are measured.
    var samples: Int { tasks.count }

    init(_ model: Model, seed: UInt32, isQuick: Bool, bytes: ByteBudget = .share(1, of: 4)) throws {
        self.model = model
        let share = DemoCapacity(bytes)
        self.share = share
        // Long enough for 1,500 tokens and more.
        var index: UInt32 = 0
        while DiaryTask(seed: seed, index: index).sample.number < 58 { index += 1 }
        task = DiaryTask(seed: seed, index: index)
        tasks = DiaryTask.tasks(seed: seed, count: isQuick ? 2 : 8)
        calibration = Self.calibration(of: model)
        measuresVariants = !isQuick
        let all = try DemoMethod.allPolicies(for: model)
        let plain = Set(PolicyRegistry.standard.descriptors.map(\.name))
        chartedPolicies = all.filter(plain.contains)
        let others = [2, 4, 8, 16].map { DemoCapacity.share(1, of: $0) }.filter { $0 != share }
        methods =
            try DemoMethod.methods(isQuick ? chartedPolicies : all, [share])
            + DemoMethod.methods(chartedPolicies, others).filter { $0.capacity != nil }
    }

    /// Which calibration augur has here, in a sentence.
    private static func calibration(of model: Model) -> String {
        let file = model.calibrationURL.lastPathComponent
        do {
            guard let calibration = try model.calibration() else {
                return "augur is left out: there is no calibration \(file) (`morphkv calibrate` makes one)."
            }
            return "augur's calibration is \(file): \(calibration.provenance)."
        } catch {
            return "augur is left out: \(error)."
        }
    }

    /// The caches for a diary of that many tokens: full, and of the same bytes augur, if there is a calibration, and
    /// morphkv.
    func sides(_ writer: DiaryWriter, responseTokens: Int) throws -> [Side] {
        func side(_ name: String, _ policy: any CachePolicy) throws -> Side {
            let plan = try CachePlan(
                model, DiaryWriter.options(policy, storage: writer.storage), tokens: responseTokens)
            return Side(name: name, policy: policy, bytes: plan.bytes + plan.sharedBytes)
        }
        let names = [AugurPolicy.descriptor.name, MorphKVPolicy.descriptor.name].filter(chartedPolicies.contains)
        return try [side("full cache", FullPolicy())]
            + DemoMethod.methods(names, [share]).map { method in
                let entries = try writer.entries(of: method, share, forResponse: responseTokens)
                return try side("\(method.policy), \(entries) slots", method.cachePolicy(entries: entries))
            }
    }

    /// What is about to be shown.
    func introduction(_ sides: [Side], responseTokens: Int) -> String {
        let small = sides.dropFirst().map { "\($0.name) per head (\(Output.bytes($0.bytes)))" }
        let list = small.joined(separator: ", then with ")
        return """
            The same diary of \(task.sample.number) weeks, about \(responseTokens) tokens, written \(sides.count) times: \
            with everything in the cache (\(Output.bytes(sides[0].bytes))), and in \(amount), \
            everything counted: with \(list). The instructions stand in the prompt; plans are made in the diary itself \
            and have to be kept weeks later.
            \(calibration)

            \(task.sample.prompt)

            """
    }

    /// How much a small cache has, in words.
    private var amount: String { share.isShare ? "\(share) of the response's bytes" : share.description }

    /// What the table shows.
    var tableTitle: String {
        "Every policy\(measuresVariants ? " and its variants" : "") on \(samples) other diaries, in \(amount):"
    }

    /// How it was measured, in sentences.
    var notes: [String] {
        [
            "All policies wrote the same \(samples) diaries of 20 to 60 weeks, greedily. With so few, some percent mean "
                + "nothing; docs/accuracy.md has a table over more.",
            "A capacity like 1/4 is the most entries with which the cache takes no more than that share of the bytes "
                + "of the full cache's response to the same prompt; their mean stands beside it. Everything counts: keys, "
                + "values, positions, scores, and a calibration's tables, though all sequences share them.",
            calibration,
            "A window that a policy needs is its default, but at most a quarter of the capacity.",
            "snapkv, pyramidkv and adakv cut the prompt to the tokens whose keys and values take so much, kvzip to its own; they "
                + "grow from there: their memory is not constant.",
            "A check whose entry is missing has failed. Bytes in tables are the most of any diary, in charts the mean.",
        ]
    }
}
