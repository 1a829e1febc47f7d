/// One prompt of the second task that comes with its model: a logbook of 20 to 60 steps, kept by notes and a schedule.
///
/// It asks for what diaries do not show: names that come back long after the answer introduced them, rules that are made in
/// the middle of the answer and revoked later, many notes of which few are asked for, and values that are computed from
/// earlier ones, so that one lost entry spoils the rest.
package struct LogbookTask: Sendable, Hashable {
    /// Somebody who is met several times; the first entry introduces the name with a word of its own choice.
    package struct Guest: Sendable, Hashable {
        let name: String
        let steps: [Int]
    }

    /// A rule: from one step on the animal answers with a word that the entry chose, until another step revokes it.
    package struct Animal: Sendable, Hashable {
        let name: String
        let learns: Int
        let drops: Int?
        /// The steps in which it comes: before, between and after.
        let comes: [Int]
    }

    /// The prompt, ending with the header of the first entry.
    package let prompt: String
    /// That header.
    let prefix: String
    /// How many steps there are.
    package let number: Int
    /// What must be said at which step out of the notes.
    let facts: [LongGenBenchCheck]
    /// The sums that must be stated.
    let sums: [LongGenBenchCheck]
    let guests: [Guest]
    let animals: [Animal]

    /// The task with this number of a seed; `evaluation` in `Training/logbook.py` gives the same one.
    package init(seed: UInt32, index: UInt32) {
        var random = TaskRandom(seed: seed, index: index)
        let rules = LogbookRules(&random)
        func checks(_ phrases: [(step: Int, phrase: String)]) -> [LongGenBenchCheck] {
            phrases.sorted { $0.step < $1.step }.map { LongGenBenchCheck(number: $0.step, event: $0.phrase) }
        }
        prompt = rules.prompt(&random)
        prefix = LogbookRules.prefix
        number = rules.steps
        facts = checks(rules.asks.map { ($0.step, "\($0.good) \($0.town)") })
        sums = checks(rules.links.map { ($0.step, $0.phrase) })
        guests = rules.guests
        animals = rules.animals
    }

    /// More tokens than any correct answer has; an answer that gets there goes round in circles.
    package var maximumNewTokens: Int { 100 + 50 * number }
}

extension LogbookTask {
    /// Reads a task, as `morphkv eval logbook` and `Training/evaluate.py --tasks` write it.
    ///
    /// - Throws: ``EvaluationError`` of kind `format` if it is none.
    package init(_ record: JSONRecord) throws {
        func checks(_ field: String) throws -> [LongGenBenchCheck] {
            try record.object(field).map { member in
                guard let step = Int(member.name), let phrase = member.value.text else {
                    throw record.problem("'\(field)' does not map steps to texts")
                }
                return LongGenBenchCheck(number: step, event: phrase)
            }
        }
        prompt = try record.text("prompt")
        prefix = try record.text("prefix")
        number = try record.integer("number")
        facts = try checks("checks_fact")
        sums = try checks("checks_sum")
        guests = try record.object("guests").map { member in
            guard let steps = member.value.elements?.compactMap(\.integer), !steps.isEmpty else {
                throw record.problem("'guests' does not map names to steps")
            }
            return Guest(name: member.name, steps: steps)
        }
        animals = try record.list("animals").map { animal in
            guard let comes = animal.value["comes"]?.elements?.compactMap(\.integer) else {
                throw record.problem("an animal of 'animals' does not say when it comes")
            }
            return try Animal(
                name: animal.text("name"), learns: animal.integer("learns"),
                drops: animal.has("drops") ? animal.integer("drops") : nil, comes: comes)
        }
    }

    /// The task as the members of a JSON object.
    var fields: [JSONMember] {
        func object(_ checks: [LongGenBenchCheck]) -> JSONValue {
            .object(checks.map { JSONMember(name: String($0.number), value: .string($0.event)) })
        }
        func list(_ steps: [Int]) -> JSONValue { .array(steps.map(JSONValue.integer)) }
        return [JSONMember]([
            "prompt": .string(prompt), "prefix": .string(prefix), "type": .string("Step"), "number": .integer(number),
            "checks_fact": object(facts), "checks_sum": object(sums),
            "guests": .object(guests.map { JSONMember(name: $0.name, value: list($0.steps)) }),
            "animals": .array(
                animals.map {
                    .object(
                        [JSONMember]([
                            "name": .string($0.name), "learns": .integer($0.learns), "drops": JSONValue($0.drops),
                            "comes": list($0.comes),
                        ]))
                }),
        ])
    }
}
