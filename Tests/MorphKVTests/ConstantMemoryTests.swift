import CTestSupport
import Foundation
import MorphKV
import XCTest

/// Memory of the whole process, so nothing else may run beside it: XCTest runs one test at a time.
final class ConstantMemoryTests: XCTestCase {
    /// Capacity 64 writes 2,000 tokens with exactly 64 slots per head, constant memory and no allocation per step.
    func testTwoThousandTokensInSixtyFourSlots() throws {
        try XCTSkipUnless(SharedData.has("models/stories260K.gguf"), "the model stories260K is not beside the checkout")
        let model = try Model(contentsOf: SharedData.url("models/stories260K.gguf"))
        let engine = try Engine(model, .morphKV(capacity: 64, window: 16), threads: 1)
        try engine.prefill([1])
        var (heap, resident) = (0, 0)
        for step in 0..<2000 {
            var best = 0
            for token in engine.logits.indices where engine.logits[token] > engine.logits[best] { best = token }
            try engine.decode(Token(best))
            if step == 200 { (heap, resident) = (Int(test_heap_bytes()), Self.residentBytes()) }
        }
        XCTAssertEqual(Int(test_heap_bytes()), heap, "bytes were allocated and kept between steps 200 and 2,000")
        XCTAssertLessThanOrEqual(Self.residentBytes(), resident + resident / 1000)
        XCTAssert(engine.statistics.layers.allSatisfy { $0.used == 64 && $0.slots == 64 })
        XCTAssert(engine.positions.allSatisfy { $0.allSatisfy { $0.count == 64 } })
        XCTAssertEqual(engine.statistics.evicted, 2001 - 64)
    }

    /// 0 where the system does not tell.
    private static func residentBytes() -> Int {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return fields.count > 1 ? Int(fields[1])! * Int(getpagesize()) : 0
    }
}
