import CAllocator
import Foundation
import MorphKV
import TestSupport
import XCTest

/// Memory of the whole process, so nothing else may run beside it: XCTest runs one test at a time.
final class ConstantMemoryTests: XCTestCase {
    /// Capacity 64 writes 12,000 tokens, the trained context 23 times, with exactly 64 slots per head, constant memory and no
    /// allocation per step that stays.
    func testTwelveThousandTokensInSixtyFourSlots() throws {
        let model = try Model(contentsOf: Fixtures.stories)
        let engine = try Engine(model, .morphKV(capacity: 64, window: 16), threads: 1)
        try engine.prefill([1])
        var (heap, resident) = (0, 0)
        for step in 0..<12_000 {
            var best = 0
            for token in engine.logits.indices where engine.logits[token] > engine.logits[best] { best = token }
            try engine.decode(Token(best))
            // By then keys were moved a few times. Resident memory first: reading a file for the first time leaves 20 KB.
            if step == 2000 { (resident, heap) = (Self.residentBytes(), Int(allocator_heap_bytes())) }
        }
        // Less than a byte per step.
        XCTAssertLessThan(Int(allocator_heap_bytes()) - heap, 10_000, "bytes were allocated and kept at every step")
        // A few pages: which parts of the program have been touched, and what the heap has at its end, is not up to us.
        XCTAssertLessThanOrEqual(Self.residentBytes(), resident + (128 << 10))
        XCTAssert(engine.statistics.layers.allSatisfy { $0.used == 64 && $0.slots == 64 })
        XCTAssert(engine.positions.allSatisfy { $0.allSatisfy { $0.count == 64 } })
        XCTAssertEqual(engine.statistics.evicted, 12_001 - 64)
    }

    /// Resident memory that is not a mapped file, such as the program or the model; 0 where the system does not tell.
    /// Not from `status`, whose count lags behind by pages for every processor.
    private static func residentBytes() -> Int {
        let memory = (try? String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8)) ?? ""
        let line = memory.split(separator: "\n").first { $0.hasPrefix("Anonymous:") } ?? ""
        return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}
