import CAttention
import Foundation
import TestSupport

/// Runs tokens through the kernel and through the reference side by side, and notes every difference.
final class RuleDiary {
    let test: ScoringCase
    let kernel: KernelCase
    var reference: ReferenceRule
    /// What queries, numbers between -1 and 1, are multiplied by.
    var queryScale: Float = 10
    private(set) var complaints: [String] = []
    private let level: attention_level
    private let threads: Int
    private var random: SeededNumbers
    private var used = 0
    private var phase = 0

    init(_ test: ScoringCase, level: attention_level, threads: Int) {
        self.test = test
        self.level = level
        self.threads = threads
        random = SeededNumbers(test.seed &+ 1000)
        let kernel = test.kernelCase()
        self.kernel = kernel
        let (shape, counts) = (test.shape, test.shape.frozen)
        var next = 0
        let frozen = (0..<shape.heads).map { head in
            (0..<(counts.isEmpty ? 0 : counts[head])).map { _ in
                defer { next += 1 }
                return ReferenceRule.Entry(
                    position: Int(kernel.frozenPositions[next]),
                    key: row(shape.keyType, kernel.frozenKeys, next, dimension: shape.dimension),
                    value: row(shape.valueType, kernel.frozenValues, next, dimension: shape.dimension))
            }
        }
        reference = ReferenceRule(test, frozen: frozen)
    }

    func follow(tokens: Int) {
        for token in 0..<tokens where complaints.count < 5 {
            if test.isBursty, used == test.shape.slots, Bool.random(using: &random) { burst() }
            step(test.origin + token)
        }
    }

    /// Empties some slots, the same number in every head.
    private func burst() {
        let count = Int.random(in: 1...test.shape.slots, using: &random)
        var emptied = Array((0..<test.shape.slots).shuffled(using: &random).prefix(count))
        for head in 0..<test.shape.heads {
            if !test.sharesChoice {
                emptied = Array((0..<test.shape.slots).shuffled(using: &random).prefix(count))
            }
            for slot in emptied {
                kernel.cache.slots.positions[head * test.shape.slots + slot] = -1
                reference.slots[head][slot] = nil
            }
        }
        used -= count
    }

    private func step(_ position: Int) {
        let shape = test.shape
        let queries = kernel.floats(shape.heads * shape.group * shape.dimension).map { $0 * queryScale }
        let keys = kernel.floats(shape.heads * shape.dimension)
        let values = kernel.floats(shape.heads * shape.dimension)
        var features = kernel.floats(shape.heads * test.features)
        // Codes are whole numbers; few different ones, so that ties come up.
        if case .foresight = test.formula { features = features.map { ($0 * 9).rounded() * 14 } }
        let output = kernel.run(
            queries: queries, newKeys: keys, newValues: values, features: features, position: position,
            used: used,
            phase: phase, promptEnd: test.promptEnd, pins: test.pins, level: level, threads: threads)
        (used, phase) = (min(used + 1, shape.slots), phase % test.queries + 1)
        let slots = (0..<shape.heads).map { chosenSlot($0, at: position) }
        for (head, slot) in slots.enumerated() {
            admit(head, slot, keys, values, features, at: position)
        }
        var expected: [Double] = []
        for head in slots.indices {
            let own = (head * shape.group..<(head + 1) * shape.group).map {
                seenQuery(
                    Array(queries[$0 * shape.dimension..<($0 + 1) * shape.dimension]), by: shape.keyType,
                    scale: kernel.cache.scale)
            }
            expected += reference.attend(head, queries: own, at: position)
        }
        compare("output", at: position, output.map(Double.init), expected, tolerance: shape.tolerance(level))
        for head in slots.indices { compareScores(head, after: position) }
    }

    /// Where the kernel put the token; complains if the rule would not have.
    private func chosenSlot(_ head: Int, at position: Int) -> Int {
        guard let slot = kernel.positions(head).firstIndex(of: Float(position)) else {
            complaints.append("token \(position) is in no slot of head \(head)")
            return 0
        }
        if let empty = reference.emptySlot(head) {
            if slot != empty {
                complaints.append("token \(position) took slot \(slot) of head \(head), not \(empty)")
            }
            return slot
        }
        let choices = reference.choices(head, at: position)
        let lowest = choices.values.min()!
        if lowest == -.infinity {
            let last = choices.filter { $0.value == lowest }.map {
                reference.slots[head][$0.key]!.position
            }.max()!
            if reference.slots[head][slot]!.position != last {
                complaints.append(
                    "token \(position) did not take the last slot out of sight of head \(head)")
            }
        } else if !((choices[slot] ?? .infinity) <= lowest + 1e-4 * max(1, lowest)) {
            complaints.append(
                "token \(position) took slot \(slot) of head \(head): \(choices[slot] as Double?), lowest \(lowest)"
            )
        }
        return slot
    }

    private func admit(
        _ head: Int, _ slot: Int, _ keys: [Float], _ values: [Float], _ features: [Float],
        at position: Int
    ) {
        let (shape, at) = (test.shape, head * test.shape.slots + slot)
        let numbers = head * shape.dimension..<(head + 1) * shape.dimension
        let key = row(shape.keyType, kernel.keys, at, dimension: shape.dimension)
        let value = row(shape.valueType, kernel.values, at, dimension: shape.dimension)
        compare(
            "key", at: position, key, keys[numbers].map(Double.init), tolerance: rounding(shape.keyType))
        compare(
            "value", at: position, value, values[numbers].map(Double.init),
            tolerance: rounding(shape.valueType))
        reference.slots[head][slot] = ReferenceRule.Entry(
            position: position, key: key, value: value,
            features: features[head * test.features..<(head + 1) * test.features].map(Double.init))
    }

    /// The largest error of storing a number between -1 and 1.
    private func rounding(_ type: attention_type) -> Double {
        switch type {
        case ATTENTION_F32: 0
        case ATTENTION_F16: 0x1p-11
        case ATTENTION_BF16: 0x1p-8
        // Half a step, and what rounding the scale to 16 bits adds.
        default: 0.501 / 127 + 0x1p-11
        }
    }

    private func compare(
        _ what: String, at position: Int, _ found: [Double], _ expected: [Double], tolerance: Double
    ) {
        for (index, (a, b)) in zip(found, expected).enumerated()
        where !(abs(a - b) <= tolerance * max(1, abs(b))) {
            complaints.append("\(what) \(index) of token \(position) is \(a), not \(b)")
            return
        }
    }

    /// What the rule remembers of each entry, against what its definition says.
    private func compareScores(_ head: Int, after position: Int) {
        let (heads, slots) = (test.shape.heads, test.shape.slots)
        let score = kernel.cache.score
        lazy var sums = reference.scores(head, before: position + 1)
        for slot in 0..<slots {
            guard let entry = reference.slots[head][slot],
                reference.isVisible(entry.position, at: position)
            else {
                continue
            }
            let at = head * slots + slot
            func check(_ found: Float, _ expected: Double) {
                compare(
                    "slot \(slot) of head \(head), score", at: position, [Double(found)], [expected],
                    tolerance: 1e-4)
            }
            switch test.formula {
            case .windowSum: check(score.window_sum.fresh[at] + score.window_sum.expiring[at], sums[slot])
            case .cumulative: check(score.cumulative.scores[at], sums[slot])
            case .foresight(_, let lambda):
                if lambda > 0 { check(score.foresight.received[at], reference.decayingSum(entry, 0.95)) }
            case .recency, .random: check(score.fixed.scores[at], sums[slot])
            case .profile(let queries, _, let candidates):
                for query in max(test.origin, position + 1 - queries)...position {
                    let expected =
                        candidates ? reference.rawScores(entry, query) : [reference.reducedWeight(entry, query)]
                    for (part, expected) in expected.enumerated() {
                        let row = (query % queries * heads + head) * expectedParts + part
                        check(score.profile.scores[row * slots + slot], expected)
                    }
                }
            // Nothing is remembered, or what it means is its own.
            case .keyDiff, .custom: break
            }
        }
    }

    private var expectedParts: Int { Int(kernel.cache.score.profile.rows_per_head) }
}
