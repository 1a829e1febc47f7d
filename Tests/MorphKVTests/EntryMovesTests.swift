import CAttention
import Ggml
import Testing

@testable import MorphKV

/// Which keys turn when old entries move up, in C, against the rule as it is written down in ``PositionFloor``.
@Suite struct EntryMovesTests {
    /// What the rule says of a head.
    private struct Head {
        /// The position in each slot, -1 where it is empty, and where its key was moved to.
        var held: [Float]
        var moved: [Float]

        func place(_ slot: Int, base: Int) -> Int { max(Int(held[slot]) - base, Int(moved[slot])) }

        /// How far each slot's key turns.
        func turns(base: Int, shift: Int, floor: Int) -> [Int: Int] {
            let aged = held.indices.filter { held[$0] >= 0 }.sorted { held[$0] < held[$1] }
            let places = aged.map { place($0, base: base) }
            let raised = PositionFloor.moved(places, to: floor)
            return Dictionary(
                uniqueKeysWithValues: aged.indices.compactMap { rank in
                    let turn = (rank < raised.count ? raised[rank] : places[rank]) - shift - places[rank]
                    return turn == 0 ? nil : (aged[rank], turn)
                })
        }
    }

    @Test(
        "the keys that turn are those of the rule, and know where they are afterwards",
        arguments: [(0, 0), (100, 0), (100, 40), (0, 30)], [40, 300, 20_000])
    func raisesAsTheRuleSays(_ frame: (base: Int, shift: Int), _ reach: Int) {
        var random = SplitMix64(seed: UInt64(reach + frame.shift))
        for slots in [1, 7, 64] {
            // Places in steps, so that none is taken twice, in an order of their own.
            let heads = (0..<3).map { number in
                let order = (0..<slots).map { ($0, random.next()) }.sorted { $0.1 < $1.1 }.map(\.0)
                var head = Head(held: Array(repeating: -1, count: slots), moved: Array(repeating: 0, count: slots))
                var (position, isMoved) = (frame.base, number > 0)
                for slot in order where slots == 1 || random.next() % 5 > 0 {
                    position += 1 + Int(random.next() % UInt64(max(1, 2 * reach / slots)))
                    isMoved = isMoved && random.next() % 8 > 0
                    head.held[slot] = Float(position)
                    guard isMoved else { continue }
                    head.moved[slot] = Float(position - frame.base + number)
                    position += number
                }
                return head
            }
            let floor = reach / 2
            var moved = heads.flatMap(\.moved)
            let held = heads.flatMap(\.held)
            let turns = held.withUnsafeBufferPointer { held in
                moved.withUnsafeMutableBufferPointer {
                    EntryMoves(slots: slots, kvHeads: heads.count, base: frame.base, shift: frame.shift, held: held)
                        .raise($0.baseAddress!, to: floor)
                }
            }
            let found = Dictionary(uniqueKeysWithValues: turns.map { (Int($0.row), Int($0.distance)) })
            var expected: [Int: Int] = [:]
            for (number, head) in heads.enumerated() {
                for (slot, turn) in head.turns(base: frame.base, shift: frame.shift, floor: floor) {
                    expected[number * slots + slot] = turn
                }
                for slot in 0..<slots where head.held[slot] >= 0 {
                    let after = Head(
                        held: head.held, moved: Array(moved[number * slots..<(number + 1) * slots]))
                    let turn = found[number * slots + slot] ?? 0
                    #expect(
                        after.place(slot, base: frame.base + frame.shift) == head.place(slot, base: frame.base) + turn)
                }
            }
            #expect(found.filter { $0.value != 0 } == expected)
            #expect(turns.map(\.row).elementsEqual(turns.map(\.row).sorted { Int($0) / slots < Int($1) / slots }))
        }
    }

    @Test("entries in one place are told apart by age, and heads that hold the same share their positions")
    func placesThatAreTaken() {
        let held: [Float] = [30, 10, -1, 20]
        // The oldest two were moved to where the third is.
        var moved: [Float] = [0, 30, 0, 30, 0, 0, 0, 0]
        let turns = held.withUnsafeBufferPointer { held in
            moved.withUnsafeMutableBufferPointer {
                EntryMoves(slots: 4, kvHeads: 2, base: 0, shift: 0, held: held).raise($0.baseAddress!, to: 40)
            }
        }
        #expect(turns.map { [$0.row, $0.distance] } == [[1, 10], [3, 11], [0, 12], [5, 30], [7, 21], [4, 12]])
        #expect(moved == [42, 40, 0, 41, 42, 40, 0, 41])
    }
}
