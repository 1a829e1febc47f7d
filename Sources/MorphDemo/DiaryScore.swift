internal import MorphEval

/// How many of the checks of one answer, or of several, were passed; `Training/checker.py` counts the same.
///
/// Unlike LongGenBench, which judges only entries that exist, a check whose entry is missing has failed.
package struct DiaryScore: Sendable, Hashable {
    /// What is checked.
    package enum CheckKind: String, Sendable, Hashable, CaseIterable {
        /// Whether the entries asked for exist.
        case completion
        /// Instructions for one week.
        case once
        /// Instructions for a run of weeks.
        case range
        /// Instructions for every so many weeks.
        case periodic
        /// Plans that the answer makes itself.
        case plan
    }

    private var passed: [CheckKind: Int] = [:]
    private var checks: [CheckKind: Int] = [:]

    /// Nothing checked yet.
    package init() {}

    /// Scores an answer.
    ///
    /// - Parameter lastWeek: The last week that counts; all weeks of the task if nil.
    package init(_ answer: String, to task: DiaryTask, upTo lastWeek: Int? = nil) {
        let blocks = task.sample.blocks(of: answer)
        let last = min(lastWeek ?? task.sample.number, task.sample.number)
        func says(_ week: Int, _ phrase: String) -> Bool {
            guard let block = blocks.block(week)?.utf8 else { return false }
            return [".", ","].contains { block.contains("In week \(week) \(phrase)\($0)".utf8) }
        }
        for week in 1...max(1, task.sample.number) where week <= last {
            add(.completion, blocks.block(week) != nil)
        }
        for (group, kind) in [
            (LongGenBenchSample.Group.once, CheckKind.once), (.range, .range), (.periodic, .periodic),
        ] {
            for check in task.sample.checks[group] ?? [] where check.number <= last {
                add(kind, says(check.number, check.event))
            }
        }
        let plans = DiaryPlans(blocks)
        for (plan, week) in plans.madeIn where plan.target <= last {
            add(.plan, week < plan.target && says(plan.target, plan.phrase))
        }
        for week in task.planWeeks where week <= last && !plans.weeks.contains(week) { add(.plan, false) }
    }

    private mutating func add(_ kind: CheckKind, _ isPassed: Bool) {
        checks[kind, default: 0] += 1
        if isPassed { passed[kind, default: 0] += 1 }
    }

    /// Adds the checks of another answer.
    package static func += (sum: inout DiaryScore, more: DiaryScore) {
        sum.passed.merge(more.passed, uniquingKeysWith: +)
        sum.checks.merge(more.checks, uniquingKeysWith: +)
    }

    /// Checks passed.
    package func passed(_ kind: CheckKind) -> Int { passed[kind] ?? 0 }

    /// All checks.
    package func checks(_ kind: CheckKind) -> Int { checks[kind] ?? 0 }

    /// Percent passed of the checks of all answers added; 0 if there are none.
    package func percent(_ kind: CheckKind) -> Double {
        100 * Double(passed(kind)) / Double(max(1, checks(kind)))
    }

    /// Instructions passed and all: every kind but completion.
    package var instructions: (passed: Int, checks: Int) {
        CheckKind.allCases.filter { $0 != .completion }.reduce((0, 0)) { sum, kind in
            (sum.0 + passed(kind), sum.1 + checks(kind))
        }
    }
}

/// The plans that an answer makes.
struct DiaryPlans {
    /// What is promised for which week.
    struct Plan: Hashable {
        let target: Int
        let phrase: String
    }

    /// The week of the latest entry that makes a plan.
    private(set) var madeIn: [Plan: Int] = [:]
    /// The weeks whose entries make a plan.
    private(set) var weeks: Set<Int> = []

    init(_ blocks: LongGenBenchBlocks) {
        let wording = /make a plan, in week (\d+) ([^.]*) again\./
        for week in blocks.numbers.sorted() {
            for match in (blocks.block(week) ?? "").matches(of: wording) {
                weeks.insert(week)
                guard let target = Int(match.1) else { continue }
                madeIn[Plan(target: target, phrase: String(match.2))] = week
            }
        }
    }
}
