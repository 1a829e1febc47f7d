import Ggml
import TestSupport
import Testing

@testable import MorphKV

/// Heads of different lengths, put together at equal length.
@Suite struct BucketPlanTests {
    @Test("every head is in one bucket with room for its entries, and little is filled up", arguments: 1...24)
    func division(_ heads: Int) {
        var random = SeededNumbers(UInt64(heads))
        for spread in [1, 10, 400, 4000] {
            let counts = (0..<heads).map { _ in 100 + Int(abs(random.floats(1)[0]) * Float(spread)) }
            let plan = BucketPlan(counts)
            #expect(plan.buckets.flatMap(\.heads).sorted() == Array(0..<heads))
            #expect(plan.buckets.allSatisfy { bucket in bucket.heads.allSatisfy { counts[$0] <= bucket.length } })
            let padding = plan.padding(of: counts)
            #expect(padding == plan.buckets.reduce(0) { $0 + $1.length * $1.heads.count } - counts.reduce(0, +))
            #expect(Double(padding) <= 0.05 * Double(counts.reduce(0, +)))
        }
    }

    @Test("no more buckets than there have to be")
    func fewest() {
        #expect(BucketPlan([50, 50, 50, 50]).buckets == [.init(heads: [0, 1, 2, 3], length: 50)])
        #expect(
            BucketPlan([10, 100, 99, 11]).buckets
                == [.init(heads: [1, 2], length: 100), .init(heads: [0, 3], length: 11)])
        #expect(BucketPlan([64, 16, 32, 8]).buckets.count == 4)
        // Heads without entries have a place that nobody sees.
        #expect(BucketPlan([0, 0]).buckets == [.init(heads: [0, 1], length: 1)])
        #expect(BucketPlan([0, 80]).padding(of: [0, 80]) == 1)
    }

    @Test("on a trained model KVzip at 0.3 is filled up by less than a tenth, in fewer buckets than heads")
    func trained() async throws {
        let session = try Session(
            Model(contentsOf: Fixtures.stories), cache: CacheOptions(policy: FullPolicy(), elementType: .f32),
            threads: 2)
        let words = "Lily went to the park with her mom and saw a big red ball. Tom had a small dog that liked to run. "
        var context = try await session.prefill(String(repeating: words, count: 12))
        context.attention = .graph
        try context.compress(.kvzip(ratio: 0.3), threads: 2)
        let (statistics, layers) = (context.statistics, context.cache.layers)
        let entries = statistics.entries.joined().reduce(0, +)
        #expect(Set(statistics.entries.joined()).count > 4)
        #expect(statistics.paddedEntries > 0 && Double(statistics.paddedEntries) < 0.1 * Double(entries))
        let buckets = layers.reduce(0) { $0 + BucketPlan($1.layout.counts).buckets.count }
        #expect(buckets < statistics.entries.joined().count)
        #expect(layers.allSatisfy { $0.copiedBytes == 0 })
        _ = try await context.ask(" Who had a dog?", options: .init(maxTokens: 4), threads: 2)
        #expect(layers.reduce(0) { $0 + $1.copiedBytes } == statistics.deviceBytes)
        context.attention = .automatic
        #expect(context.statistics.deviceBytes == 0 && context.statistics.paddedEntries == 0)
    }
}
