import CAttention
import Foundation
import Testing

/// Rows as they are stored, read in double precision.
enum ReferenceRows {
    static func read(
        _ memory: UnsafeMutableRawPointer, _ type: attention_type, _ count: Int, _ dimension: Int
    ) -> [[Double]] {
        (0..<count).map { row(type, memory, $0, dimension: dimension) }
    }
}

/// A layer whose window's sums are known in double precision.
final class WindowReference {
    /// What was in sums that must stay as they are.
    private static let untouched: Float = -7

    private let window: KeyTurnTests.Window
    private let test: KernelCase
    /// The layer as it sees itself, then as its readers do.
    let caches: UnsafeMutablePointer<attention_cache>
    /// The rows that are to be counted anew, in three runs.
    let rows: [Int]
    private let fresh, expiring: UnsafeMutablePointer<Float>

    init(_ window: KeyTurnTests.Window, _ test: KernelCase) {
        (self.window, self.test) = (window, test)
        let (slots, heads) = (test.shape.slots, test.shape.heads)
        rows = (0..<heads * slots).filter { $0 % 7 != 2 && $0 % slots < 60 }
        let positions = (0..<heads * slots).map { Float(($0 * 37) % (window.seen + 4) - 2) }
        test.cache.slots.positions = test.place(all: positions)
        if window.hasPlaces {
            let angles = test.floats(12).map { $0 * 3 }
            test.cache.slots.places = test.place(all: (0..<heads * slots).map { Float($0 % 3) })
            test.cache.slots.turn = UnsafePointer(test.place(all: angles.map { cos($0) } + angles.map { sin($0) }))
            test.cache.slots.turned_pairs = 12
        }
        fresh = test.zeros(heads * slots, filledWith: Self.untouched)
        expiring = test.zeros(heads * slots, filledWith: Self.untouched)
        let ring = window.queries * (1 + window.readers) * heads * window.group
        let queries = test.place(all: test.floats(ring * window.dimension).map { $0 * 4 })
        let normalizers = test.place(all: test.floats(ring).map { $0 + 2 })
        caches = .allocate(capacity: 1 + window.readers)
        for reader in 0...window.readers {
            var own = test.cache
            own.reader = Int32(reader)
            own.score.rule = ATTENTION_WINDOW_SUM
            own.score.group_reduction = window.isMax ? ATTENTION_MAX : ATTENTION_SUM
            let before = reader * window.queries * heads * window.group
            own.score.window_sum = attention_window_sum(
                query_count: Int32(window.queries), fresh: fresh, expiring: expiring,
                queries: queries + before * window.dimension, normalizers: normalizers + before)
            (caches + reader).initialize(to: own)
        }
    }

    deinit { caches.deallocate() }

    /// A key as queries see it.
    private func keys() -> [[Double]] {
        var keys = ReferenceRows.read(
            test.keys, window.type, test.shape.heads * test.shape.slots, window.dimension)
        guard let places = test.cache.slots.places, let turn = test.cache.slots.turn else { return keys }
        let pairs = Int(test.cache.slots.turned_pairs)
        for row in keys.indices where places[row] > 0 {
            for pair in 0..<pairs {
                let (x, y) = (keys[row][pair], keys[row][pair + pairs])
                let (cosine, sine) = (Double(turn[pair]), Double(turn[pairs + pair]))
                keys[row][pair] = x * cosine - y * sine
                keys[row][pair + pairs] = x * sine + y * cosine
            }
        }
        return keys
    }

    /// Compares what is in the sums with what belongs there.
    func check() {
        let (keys, slots) = (keys(), test.shape.slots)
        for row in keys.indices {
            guard rows.contains(row) else {
                #expect(fresh[row] == Self.untouched && expiring[row] == Self.untouched)
                continue
            }
            var sums = (fresh: 0.0, expiring: 0.0)
            for query in max(0, window.seen - window.queries)..<window.seen
            where Double(test.cache.slots.positions[row]) <= Double(query) {
                for reader in 0...window.readers {
                    let weight = weight(keys[row], caches[reader].score.window_sum, query, head: row / slots)
                    if query >= window.seen - window.phase { sums.fresh += weight } else { sums.expiring += weight }
                }
            }
            #expect(abs(Double(fresh[row]) - sums.fresh) <= 1e-5 * (1 + sums.fresh))
            #expect(abs(Double(expiring[row]) - sums.expiring) <= 1e-5 * (1 + sums.expiring))
        }
    }

    /// What a query gave a key: the heads of its group together.
    private func weight(_ key: [Double], _ sum: attention_window_sum, _ query: Int, head: Int) -> Double {
        let weights = (0..<window.group).map { member in
            let row = ((query % window.queries) * test.shape.heads + head) * window.group + member
            let product = key.indices.reduce(0.0) { $0 + Double(sum.queries[row * window.dimension + $1]) * key[$1] }
            return exp(product * Double(test.cache.scale) - Double(sum.normalizers[row]))
        }
        return window.isMax ? weights.max()! : weights.reduce(0, +)
    }
}
