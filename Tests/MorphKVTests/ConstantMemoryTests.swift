import CTestSupport
import Foundation
import MorphKV
import TestSupport
import XCTest

/// Memory of the whole process, so nothing else may run beside it: XCTest runs one test at a time.
final class ConstantMemoryTests: XCTestCase {
    /// Capacity 64 writes 2,000 tokens with exactly 64 slots per head, constant memory and no allocation per step.
    func testTwoThousandTokensInSixtyFourSlots() throws {
        let model = try Model(contentsOf: Fixtures.stories)
        let engine = try Engine(model, .morphKV(capacity: 64, window: 16), threads: 1)
        try engine.prefill([1])
        var (heap, resident) = (0, 0)
        for step in 0..<2000 {
            var best = 0
            for token in engine.logits.indices where engine.logits[token] > engine.logits[best] { best = token }
            try engine.decode(Token(best))
            // By then keys were moved for the first time: the trained context is 512 tokens.
            if step == 700 { (heap, resident) = (Int(test_heap_bytes()), Self.residentBytes()) }
        }
        // Less than a byte per step.
        XCTAssertLessThan(Int(test_heap_bytes()) - heap, 1300, "bytes were allocated and kept at every step")
        // A few pages: which parts of the program have been touched is not up to us.
        XCTAssertLessThanOrEqual(Self.residentBytes(), resident + (64 << 10))
        XCTAssert(engine.statistics.layers.allSatisfy { $0.used == 64 && $0.slots == 64 })
        XCTAssert(engine.positions.allSatisfy { $0.allSatisfy { $0.count == 64 } })
        XCTAssertEqual(engine.statistics.evicted, 2001 - 64)
    }

    /// Resident memory that is not a mapped file, such as the program or the model; 0 where the system does not tell.
    private static func residentBytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") } ?? ""
        return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}
