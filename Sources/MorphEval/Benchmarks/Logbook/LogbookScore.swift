/// How many of the checks of one answer were passed; `Training/logbook_checker.py` counts the same and states the rules.
package struct LogbookScore: Sendable, Hashable {
    /// What is checked.
    package enum CheckKind: String, Sendable, Hashable, CaseIterable {
        /// Whether the entries asked for exist.
        case completion
        /// What the notes of the prompt say.
        case fact
        /// Names that come back, with the word with which the answer introduced them.
        case back
        /// Rules that the answer made, and that hold until they are revoked.
        case rule
        /// Values that are computed from earlier ones.
        case sum
    }

    private var passed: [CheckKind: Int] = [:]
    private var checks: [CheckKind: Int] = [:]

    /// Scores an answer.
    package init(_ answer: String, to task: LogbookTask) {
        let entries = Entries(blocks: LongGenBenchBlocks(response: task.prefix + answer, type: "Step"))
        for step in 1...max(1, task.number) where step <= task.number { add(.completion, entries.has(step)) }
        for check in task.facts { add(.fact, entries.says(check.number, check.event)) }
        for check in task.sums { add(.sum, entries.says(check.number, check.event)) }
        for guest in task.guests {
            let word = entries.word(guest.steps[0], after: guest.name)
            for step in guest.steps.dropFirst() {
                add(.back, word.map { entries.says(step, "\(guest.name) \($0)") } ?? false)
            }
        }
        for animal in task.animals {
            let learned = entries.word(animal.learns, after: "learn \(animal.name)")
            for step in animal.comes where step > animal.learns {
                let word = step > animal.drops ?? .max ? "quiet" : learned
                add(.rule, word.map { entries.says(step, "\(animal.name) \($0)") } ?? false)
            }
        }
    }

    private mutating func add(_ kind: CheckKind, _ isPassed: Bool) {
        checks[kind, default: 0] += 1
        if isPassed { passed[kind, default: 0] += 1 }
    }

    /// Checks passed.
    package func passed(_ kind: CheckKind) -> Int { passed[kind] ?? 0 }

    /// All checks.
    package func checks(_ kind: CheckKind) -> Int { checks[kind] ?? 0 }

    /// The share of the checks that were passed, completion left out; 1 if there are none.
    var share: Double {
        let kinds = CheckKind.allCases.filter { $0 != .completion }
        let all = kinds.reduce(0) { $0 + checks($1) }
        return all > 0 ? Double(kinds.reduce(0) { $0 + passed($1) }) / Double(all) : 1
    }
}

/// The entries of an answer, and what they say.
private struct Entries {
    let blocks: LongGenBenchBlocks

    func has(_ step: Int) -> Bool { blocks.block(step) != nil }

    /// Whether the entry of a step holds "At N <phrase>.".
    func says(_ step: Int, _ phrase: String) -> Bool {
        blocks.block(step)?.utf8.contains("At \(step) \(phrase).".utf8) ?? false
    }

    /// The word in "At N <phrase> <word>." of the entry of a step.
    func word(_ step: Int, after phrase: String) -> String? {
        guard var rest = blocks.block(step)?.utf8[...] else { return nil }
        while let found = rest.firstRange(of: "At \(step) \(phrase) ".utf8) {
            rest = rest[found.upperBound...]
            let letters = rest.prefix { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 }
            if !letters.isEmpty, rest.dropFirst(letters.count).first == UInt8(ascii: ".") { return String(letters) }
        }
        return nil
    }
}
