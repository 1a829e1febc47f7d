package import MorphEval

/// One prompt of the demo: a diary of 20 to 60 weeks, asked for with instructions in LongGenBench's three groups, and
/// weeks in which the answer has to make a plan that it then has to keep.
package struct DiaryTask: Sendable, Hashable {
    /// The prompt and what must be said in which week, as LongGenBench states it.
    package let sample: LongGenBenchSample
    /// The weeks in which the answer has to make a plan.
    package let planWeeks: [Int]

    /// Creates a task.
    init(sample: LongGenBenchSample, planWeeks: [Int]) {
        self.sample = sample
        self.planWeeks = planWeeks
    }

    /// The task with this number of a seed; `evaluation` in `Training/diary.py` gives the same one.
    package init(seed: UInt32, index: UInt32) {
        var random = TaskRandom(seed: seed, index: index)
        let rules = DiaryRules(&random)
        func checks(_ events: [DiaryRules.Event]) -> [LongGenBenchCheck] {
            events.flatMap { $0.checks(upTo: rules.weeks) }.sorted { $0.number < $1.number }
        }
        sample = LongGenBenchSample(
            prompt: rules.prompt(&random), prefix: DiaryRules.prefix, type: "Week", number: rules.weeks,
            checks: [
                .once: checks(rules.once), .range: checks(rules.ranges), .periodic: checks(rules.periodic),
            ])
        planWeeks = rules.planWeeks.sorted()
    }

    /// The first tasks of a seed.
    package static func tasks(seed: UInt32, count: Int) -> [DiaryTask] {
        (0..<count).map { DiaryTask(seed: seed, index: UInt32($0)) }
    }

    /// More tokens than any correct answer has; an answer that gets there goes round in circles.
    package var maximumNewTokens: Int { 100 + 50 * sample.number }
}
