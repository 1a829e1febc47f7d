import CAttention
import Foundation
import Testing

/// Slots whose keys stand in a frame of their own, which queries are turned for.
@Suite struct TurnedQueryTests {
    @Test(
        "queries meet keys of another frame as if these were turned",
        arguments: [1, 2, 5, 8].flatMap { group in [true, false].map { (group, $0) } })
    func queriesAreTurned(_ group: Int, _ neighbours: Bool) {
        let shape = KernelCase.Shape(
            keyType: ATTENTION_F32, valueType: ATTENTION_F32, dimension: 64, group: group, slots: 61, used: 61,
            frozen: [3, 9])
        // Some numbers of a key that positions do not rotate.
        let pairs = 24
        for level in levels {
            for threads in [1, 2, 3] {
                let (one, other) = (KernelCase(shape, seed: 5), KernelCase(shape, seed: 5))
                let angles = one.floats(pairs).map { $0 * 3 }
                let turn = angles.map { cos($0) } + angles.map { sin($0) }
                let places = (0..<shape.heads * shape.slots).map { Float($0 % 7 < 3 ? 1 + $0 % 5 : 0) }
                one.cache.slots.places = one.place(all: places)
                one.cache.slots.turn = UnsafePointer(one.place(all: turn))
                one.cache.slots.turned_pairs = Int32(pairs)
                one.cache.slots.turns_neighbours = neighbours
                let keys = other.keys.assumingMemoryBound(to: Float.self)
                for row in places.indices where places[row] > 0 {
                    for pair in 0..<pairs {
                        let (i, j) = neighbours ? (2 * pair, 2 * pair + 1) : (pair, pair + pairs)
                        let (x, y) = (keys[row * 64 + i], keys[row * 64 + j])
                        keys[row * 64 + i] = x * turn[pair] - y * turn[pairs + pair]
                        keys[row * 64 + j] = x * turn[pairs + pair] + y * turn[pair]
                    }
                }
                let count = shape.heads * shape.group * shape.dimension
                let (queries, frozen) = (other.floats(count).map { $0 * 8 }, other.floats(count).map { $0 * 8 })
                let (key, value) = (other.floats(128), other.floats(128))
                func output(_ test: KernelCase) -> [Float] {
                    // The slot that position 61 takes in a ring.
                    test.cache.slots.ring_sinks = 4
                    return test.run(
                        queries: queries, frozenQueries: frozen, newKeys: key, newValues: value, level: level,
                        threads: threads)
                }
                let (found, wanted) = (output(one), output(other))
                #expect(zip(found, wanted).allSatisfy { abs($0 - $1) < 2e-5 }, "level \(level.rawValue), \(threads)")
                #expect(found.contains { abs($0) > 1e-3 })
                // What was written stands where queries do.
                for head in 0..<shape.heads { #expect(one.cache.slots.places[head * 61 + 4] == 0) }
            }
        }
    }
}
