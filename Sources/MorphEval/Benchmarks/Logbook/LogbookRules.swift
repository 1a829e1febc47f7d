/// Notes and schedule of one logbook, drawn as `Training/logbook.py` draws them for an evaluation. Two of one kind never
/// fall in the same step.
struct LogbookRules {
    /// Who keeps the logbook.
    private(set) var author = ""
    /// How many steps it has.
    let steps: Int
    /// What the first line of the prompt's notes lists, in its order: goods with their towns, and where values start.
    private(set) var notes: [String] = []
    /// The goods that are asked for, with their towns, in the order in which they were drawn.
    private(set) var asks: [(step: Int, good: String, town: String)] = []
    private(set) var guests: [LogbookTask.Guest] = []
    private(set) var animals: [LogbookTask.Animal] = []
    private(set) var links: [Link] = []

    /// A value that is computed at one step: that of `source` and `plus`.
    struct Link {
        let step: Int
        let tank: String
        let source: String
        let plus: Int
        /// The value of `source`.
        let before: Int

        /// What the schedule says.
        var call: String { "\(tank) \(source) plus \(plus)" }
        /// What the entry has to say.
        var phrase: String { "\(call), \(source) \(before), \(tank) \(before + plus)" }
    }

    /// The largest numbers in 100 steps.
    private static let density = (asks: 30, guests: 14, animals: 10, chains: 7)

    /// Draws notes and schedule; the order of the draws is part of the language.
    init(_ random: inout TaskRandom) {
        steps = random.between(20, 60)
        author = random.choice(LogbookWords.names)
        let noted = random.between(70, 120)
        let goods = random.sample(LogbookWords.goods, noted).map { ($0, random.choice(LogbookWords.towns)) }
        let asked = random.sample(goods, min(goods.count, amount(Self.density.asks, &random)))
        asks = zip(random.sample(Array(1...steps), asked.count), asked).map { ($0, $1.0, $1.1) }
        let guestHands = deal(amount(Self.density.guests, &random), 2...4, &random)
        guests = zip(random.sample(LogbookWords.guests, guestHands.count), guestHands).map {
            LogbookTask.Guest(name: $0, steps: $1)
        }
        drawAnimals(&random)
        let starts = drawChains(&random)
        let all = goods.map { "\($0.0) \($0.1)" } + starts
        notes = random.sample(all, all.count)
    }

    private func amount(_ density: Int, _ random: inout TaskRandom) -> Int {
        random.between(1, max(1, density * steps / 100))
    }

    /// Up to `count` lists of steps, no step in two of them, each in order.
    private func deal(_ count: Int, _ sizes: ClosedRange<Int>, _ random: inout TaskRandom) -> [[Int]] {
        var left = random.sample(Array(1...steps), steps)
        var hands: [[Int]] = []
        for _ in 0..<count {
            let size = random.between(sizes.lowerBound, sizes.upperBound)
            guard size <= left.count else { continue }
            hands.append(left.prefix(size).sorted())
            left.removeFirst(size)
        }
        return hands
    }

    private mutating func drawAnimals(_ random: inout TaskRandom) {
        let hands = deal(amount(Self.density.animals, &random), 3...7, &random)
        for (name, hand) in zip(random.sample(LogbookWords.animals, hands.count), hands) {
            let learns = random.below(2)
            let drops = learns + 2 < hand.count ? random.between(learns + 2, hand.count) : hand.count
            let comes = hand.indices.filter { $0 != learns && $0 != drops }.map { hand[$0] }
            animals.append(
                LogbookTask.Animal(
                    name: name, learns: hand[learns], drops: drops < hand.count ? hand[drops] : nil, comes: comes))
        }
    }

    /// Draws the chains of values; returns the notes of where they start.
    private mutating func drawChains(_ random: inout TaskRandom) -> [String] {
        let hands = deal(amount(Self.density.chains, &random), 3...7, &random)
        var tanks = random.sample(LogbookWords.tanks, LogbookWords.tanks.count)[...]
        var starts: [String] = []
        for hand in hands {
            var value = random.between(1, 20)
            var source = tanks.removeFirst()
            starts.append("\(source) \(value)")
            for step in hand {
                let link = Link(
                    step: step, tank: tanks.removeFirst(), source: source, plus: random.between(1, 9), before: value)
                links.append(link)
                value += link.plus
                source = link.tank
            }
        }
        return starts
    }

    /// The header of the first entry, with which the prompt ends.
    static let prefix = "#*# Step 1:"

    /// Notes and schedule in random order.
    func prompt(_ random: inout TaskRandom) -> String {
        var lines = asks.map { "At \($0.step) \($0.good)." }
        lines += guests.flatMap { guest in guest.steps.map { "At \($0) \(guest.name)." } }
        for animal in animals {
            lines.append("At \(animal.learns) learn \(animal.name).")
            if let drops = animal.drops { lines.append("At \(drops) drop \(animal.name).") }
            lines += animal.comes.map { "At \($0) \(animal.name)." }
        }
        lines += links.map { "At \($0.step) \($0.call)." }
        lines.append("At \(steps) finally stop.")
        let head = "Keep the log of \(author) from step 1 to step \(steps)."
        let noted = "Notes: \(notes.joined(separator: ", "))."
        return ([head, noted] + random.sample(lines, lines.count) + ["*** started ***", Self.prefix])
            .joined(separator: "\n")
    }
}
