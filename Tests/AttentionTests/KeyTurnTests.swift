import CAttention
import Foundation
import TestSupport
import Testing

/// Keys that turn in place, against double precision.
@Suite struct KeyTurnTests {
    /// How the rows of a layer are rotated, with memory of its own.
    final class Rotation {
        let frequencies: [Double]
        let neighbours: Bool
        private let powers: UnsafeMutablePointer<Double>

        init(pairs: Int, neighbours: Bool) {
            frequencies = (0..<pairs).map { pow(10000, -Double($0) / Double(pairs)) }
            self.neighbours = neighbours
            let bits = Int(ATTENTION_TURN_BITS)
            powers = .allocate(capacity: 2 * pairs * bits)
            for bit in 0..<bits {
                for (pair, frequency) in frequencies.enumerated() {
                    powers[2 * pairs * bit + pair] = cos(frequency * Double(1 << bit))
                    powers[2 * pairs * bit + pairs + pair] = sin(frequency * Double(1 << bit))
                }
            }
        }

        deinit { powers.deallocate() }

        var description: attention_rotation {
            attention_rotation(
                pairs: Int32(frequencies.count), turns_neighbours: neighbours, powers: UnsafePointer(powers))
        }

        /// A row after a turn, in double precision.
        func turned(_ row: [Double], by distance: Int) -> [Double] {
            var result = row
            for (pair, frequency) in frequencies.enumerated() {
                let (i, j) = neighbours ? (2 * pair, 2 * pair + 1) : (pair, pair + frequencies.count)
                let angle = frequency * Double(distance)
                result[i] = row[i] * cos(angle) - row[j] * sin(angle)
                result[j] = row[i] * sin(angle) + row[j] * cos(angle)
            }
            return result
        }
    }

    static let types = [
        ATTENTION_F32, ATTENTION_F16, ATTENTION_BF16, ATTENTION_Q8_0, ATTENTION_Q4_0, ATTENTION_Q4_1, ATTENTION_Q5_0,
        ATTENTION_Q5_1,
    ]

    /// What storing a row once rounds, as a share of its largest number.
    private static func rounding(_ type: attention_type) -> Double {
        switch type {
        case ATTENTION_F32: 1e-6
        case ATTENTION_F16: 0x1p-11
        case ATTENTION_BF16: 0x1p-8
        case ATTENTION_Q8_0: 0.005
        case ATTENTION_Q5_0, ATTENTION_Q5_1: 0.07
        default: 0.14
        }
    }

    private static func room(dimension: Int, group: Int, pairs: Int) -> [Float] {
        // The kernel wants lines of 64 bytes; a line more lets a test find one.
        [Float](repeating: .nan, count: attention_turn_room(Int32(dimension), Int32(group), Int32(pairs)) + 16)
    }

    private static func withAligned(_ room: inout [Float], _ body: (UnsafeMutablePointer<Float>) -> Void) {
        room.withUnsafeMutableBytes {
            let start = UnsafeMutableRawPointer(bitPattern: (Int(bitPattern: $0.baseAddress!) + 63) & ~63)!
            body(start.assumingMemoryBound(to: Float.self))
        }
    }

    /// The rows of a case's keys, read back in double precision.
    private static func rows(_ test: KernelCase) -> [[Double]] {
        ReferenceRows.read(test.keys, test.shape.keyType, test.shape.heads * test.shape.slots, test.shape.dimension)
    }

    private static func turn(
        _ test: KernelCase, _ rotation: Rotation, _ turns: [attention_turn], _ level: attention_level
    ) {
        var description = rotation.description
        var room = room(dimension: test.shape.dimension, group: 1, pairs: rotation.frequencies.count)
        withAligned(&room) {
            attention_turn_rows(
                level, &description, test.shape.keyType, Int32(test.shape.dimension), test.keys, turns,
                Int32(turns.count), $0)
        }
    }

    @Test(
        "rows turn by their distances, and nothing else changes",
        arguments: types, [(32, 16, true), (32, 16, false), (64, 24, true), (96, 48, false), (128, 10, false)])
    func rowsTurn(_ type: attention_type, _ size: (dimension: Int, pairs: Int, neighbours: Bool)) {
        let distances = [1, 7, 7, 300, 299, 3, -4, 0, 1_000_000, 999_999]
        let rotation = Rotation(pairs: size.pairs, neighbours: size.neighbours)
        for level in levels {
            var shape = KernelCase.Shape(keyType: type, valueType: ATTENTION_F16, dimension: size.dimension)
            shape.slots = 20
            let test = KernelCase(shape, seed: 3)
            let before = Self.rows(test)
            let turns = distances.enumerated().map { attention_turn(row: Int32(4 * $0), distance: Int32($1)) }
            Self.turn(test, rotation, turns, level)
            let after = Self.rows(test)
            for (row, key) in after.enumerated() {
                guard let turn = turns.first(where: { $0.row == row }) else {
                    #expect(key == before[row])
                    continue
                }
                let wanted = rotation.turned(before[row], by: Int(turn.distance))
                let most = wanted.map(abs).max()!
                #expect(zip(key, wanted).allSatisfy { abs($0 - $1) <= Self.rounding(type) * most }, "\(turn)")
            }
        }
    }

    @Test("small rows turn too, whatever the instructions", arguments: [ATTENTION_F32, ATTENTION_F16, ATTENTION_BF16])
    func smallRowsTurn(_ type: attention_type) {
        for (dimension, pairs) in [(8, 4), (8, 3), (20, 10), (6, 1)] {
            for (level, neighbours) in levels.flatMap({ level in [true, false].map { (level, $0) } }) {
                let rotation = Rotation(pairs: pairs, neighbours: neighbours)
                var shape = KernelCase.Shape(keyType: type, valueType: ATTENTION_F16, dimension: dimension)
                shape.slots = 5
                let test = KernelCase(shape, seed: 4)
                let before = Self.rows(test)
                Self.turn(test, rotation, (0..<10).map { attention_turn(row: $0, distance: 12 - $0) }, level)
                for (row, key) in Self.rows(test).enumerated() {
                    let wanted = rotation.turned(before[row], by: 12 - row)
                    let most = wanted.map(abs).max()!
                    #expect(zip(key, wanted).allSatisfy { abs($0 - $1) <= Self.rounding(type) * most })
                }
            }
        }
    }

    @Test("levels agree on f32, f16 and bf16 to a unit in the last place", arguments: types.prefix(3))
    func levelsAgree(_ type: attention_type) {
        var results: [[[Double]]] = []
        for level in levels {
            var shape = KernelCase.Shape(keyType: type, valueType: ATTENTION_F16, dimension: 64)
            shape.slots = 40
            let test = KernelCase(shape, seed: 5)
            let turns = (0..<80).map { attention_turn(row: $0, distance: 200 - 2 * $0) }
            Self.turn(test, Rotation(pairs: 32, neighbours: false), turns, level)
            results.append(Self.rows(test))
        }
        for result in results.dropFirst() {
            for (one, other) in zip(result, results[0]) {
                #expect(zip(one, other).allSatisfy { abs($0 - $1) <= 2 * Self.rounding(type) })
            }
        }
    }

    // Each turn rounds the same sines once more: a thousand halves of a unit in the last place are 6e-5.
    @Test(
        "a thousand turns in place leave keys what they are",
        arguments: [(ATTENTION_F32, 6e-5), (ATTENTION_F16, 0.01), (ATTENTION_BF16, 0.4)])
    func thousandTurns(_ type: attention_type, _ tolerance: Double) {
        for (level, neighbours) in levels.flatMap({ level in [true, false].map { (level, $0) } }) {
            let rotation = Rotation(pairs: 32, neighbours: neighbours)
            var shape = KernelCase.Shape(keyType: type, valueType: ATTENTION_F16, dimension: 64)
            shape.slots = 4
            let test = KernelCase(shape, seed: 8)
            let before = Self.rows(test)
            let turns = (0..<Int32(before.count)).map { attention_turn(row: $0, distance: 64 - $0) }
            for _ in 0..<1000 { Self.turn(test, rotation, turns, level) }
            for (row, key) in Self.rows(test).enumerated() {
                let wanted = rotation.turned(before[row], by: 1000 * (64 - row))
                let error = zip(key, wanted).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
                #expect(error.squareRoot() < tolerance * wanted.map { $0 * $0 }.reduce(0, +).squareRoot())
            }
        }
    }

    /// What queries of a window give the entries of a layer.
    struct Window: Sendable, CustomTestStringConvertible {
        var type = ATTENTION_F32
        var dimension = 32
        var group = 2
        var queries = 9
        var seen = 200
        var phase = 4
        var isMax = false
        var readers = 0
        var hasPlaces = false

        var testDescription: String {
            "\(type.rawValue) \(dimension) group \(group) \(queries) of \(seen), phase \(phase), max \(isMax), "
                + "readers \(readers), places \(hasPlaces)"
        }
    }

    static let windows = [
        Window(), Window(type: ATTENTION_F16, dimension: 8, group: 1), Window(group: 3, phase: 0),
        Window(dimension: 64, group: 5, queries: 40, phase: 40), Window(group: 4, isMax: true),
        Window(group: 70, queries: 3, phase: 1), Window(queries: 20, seen: 7, phase: 7), Window(readers: 2),
        Window(type: ATTENTION_Q8_0, hasPlaces: true), Window(type: ATTENTION_BF16, dimension: 48, group: 7),
    ]

    @Test("sums are those of the window's queries, each in the sum that it belongs to", arguments: windows)
    func sumsAreCountedAnew(_ window: Window) {
        for level in levels {
            var shape = KernelCase.Shape(
                keyType: window.type, valueType: ATTENTION_F16, dimension: window.dimension, group: window.group)
            (shape.slots, shape.used) = (71, 71)
            let test = KernelCase(shape, seed: 6)
            let reference = WindowReference(window, test)
            let rows = reference.rows.map { attention_turn(row: Int32($0), distance: 0) }
            let pairs = Int(test.cache.slots.turned_pairs)
            var room = Self.room(dimension: window.dimension, group: window.group, pairs: pairs)
            Self.withAligned(&room) {
                attention_recount(
                    level, reference.caches, Int32(1 + window.readers), rows, Int32(rows.count), Int64(window.seen),
                    Int32(window.phase), $0)
            }
            reference.check()
        }
    }
}
