internal import MorphEval

/// The instructions of one diary, drawn as `Training/diary.py` draws them for an evaluation. Two of one kind never fall
/// in the same week.
struct DiaryRules {
    /// Something due in the weeks `first`, `first + step`, … up to `last`.
    struct Event {
        let phrase: String
        let first: Int
        let last: Int
        var step = 1

        /// What must be said in which week, up to week `end`.
        func checks(upTo end: Int) -> [LongGenBenchCheck] {
            stride(from: first, through: min(last, end), by: step).map { LongGenBenchCheck(number: $0, event: phrase) }
        }
    }

    /// Who keeps the diary.
    private(set) var author = ""
    /// How many weeks it has.
    let weeks: Int
    private(set) var once: [Event] = []
    private(set) var ranges: [Event] = []
    private(set) var periodic: [Event] = []
    /// The weeks in which the diary itself has to promise something.
    private(set) var planWeeks: [Int] = []

    /// The largest numbers of instructions in 100 weeks.
    private static let density = (once: 25, ranges: 8, periodic: 8, plans: 15)

    /// Draws instructions; the order of the draws is part of the language.
    init(_ random: inout TaskRandom) {
        weeks = random.between(20, 60)
        author = random.choice(DiaryWords.names)
        drawOnce(&random)
        drawRanges(&random)
        drawPeriodic(&random)
        // Plans are made where the model's favourite target for them is still in the diary.
        let early = (1...weeks).filter { $0 + [4, 8, 16, 24][$0 % 4] <= weeks }
        planWeeks = random.sample(early, min(amount(Self.density.plans, &random), early.count))
    }

    private func amount(_ density: Int, _ random: inout TaskRandom) -> Int {
        random.between(1, max(1, density * weeks / 100))
    }

    private mutating func drawOnce(_ random: inout TaskRandom) {
        let names = random.sample(DiaryWords.guests, amount(Self.density.once, &random))
        for (week, name) in zip(random.sample(Array(1...weeks), names.count), names) {
            once.append(Event(phrase: "\(name) \(random.choice(DiaryWords.deeds))", first: week, last: week))
        }
    }

    private mutating func drawRanges(_ random: inout TaskRandom) {
        var taken: Set<Int> = []
        for town in random.sample(DiaryWords.towns, amount(Self.density.ranges, &random)) {
            let start = random.between(1, weeks - 1)
            let end = min(weeks, start + random.between(1, 5))
            guard taken.isDisjoint(with: start - 1...end + 1) else { continue }
            taken.formUnion(start...end)
            ranges.append(Event(phrase: "\(town) until \(end)", first: start, last: end))
        }
    }

    private mutating func drawPeriodic(_ random: inout TaskRandom) {
        var taken: Set<Int> = []
        for topic in random.sample(DiaryWords.topics, min(4, amount(Self.density.periodic, &random))) {
            let period = random.between(3, 8)
            let start = random.between(1, min(weeks, 1 + 2 * period))
            let due = stride(from: start, through: weeks, by: period)
            guard taken.isDisjoint(with: due) else { continue }
            taken.formUnion(due)
            periodic.append(Event(phrase: "\(topic) every \(period) weeks", first: start, last: weeks, step: period))
        }
    }

    /// The header of the first entry, with which the prompt ends.
    static let prefix = "#*# Week 1:"

    /// The instructions in random order.
    func prompt(_ random: inout TaskRandom) -> String {
        var lines = (once + ranges + periodic).map { "In week \($0.first) \($0.phrase)." }
        lines += planWeeks.map { "In week \($0) make a plan." }
        lines.append("In week \(weeks) finally stop.")
        let head = "Write the diary of \(author) from week 1 to week \(weeks)."
        return ([head] + random.sample(lines, lines.count) + ["*** started ***", Self.prefix]).joined(separator: "\n")
    }
}
