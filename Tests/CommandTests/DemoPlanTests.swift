import Foundation
import MorphDemo
import MorphKV
import TestSupport
import Testing

@testable import MorphKVCommand

/// What the demo shows beside each other, and what it says of the calibration.
@Suite struct DemoPlanTests {
    @Test("three caches, two of them in a quarter of the bytes, counted before and after they are allocated")
    func threeSides() async throws {
        let model = try Model(contentsOf: Fixtures.diary)
        let calibration = try #require(try model.calibration())
        let writer = try DiaryWriter(model)
        let plan = try DemoPlan(model, seed: 8, isQuick: true)
        let tokens = 2000
        let sides = try plan.sides(writer, responseTokens: tokens)
        #expect(sides.map { type(of: $0.policy).descriptor.name } == ["full", "augur", "morphkv"])
        let budget = try writer.budget(plan.share, ofResponse: tokens)
        for side in sides.dropFirst() {
            let session = try Session(model, cache: DiaryWriter.options(side.policy), threads: 1)
            let tables = side.policy is AugurPolicy ? calibration.bytes : 0
            #expect(await session.statistics.allocatedBytes + tables == side.bytes)
            #expect(side.bytes <= budget && Double(side.bytes) > 0.95 * Double(budget))
        }
        let text = plan.introduction(sides, responseTokens: tokens)
        #expect(text.contains("written 3 times") && text.contains("diary.augur.gguf"))
        #expect(text.contains(calibration.provenance.source) && plan.notes.contains { $0.contains("diary.augur.gguf") })
        for name in PolicyRegistry.standard.descriptors.map(\.name) { #expect(plan.chartedPolicies.contains(name)) }
        // Every policy that has a capacity, at each share, once.
        for name in plan.chartedPolicies where name != "full" && name != "kvzip" {
            let shares = plan.methods.filter { $0.policy == name }.compactMap { $0.capacity?.description }
            #expect(shares.sorted() == ["1/16", "1/2", "1/4", "1/8"])
        }
        #expect(plan.methods.count { $0.policy == "kvzip" } == 1)
        #expect(Set(plan.methods.map(\.policy)) == Set(plan.chartedPolicies))
    }

    @Test("without a calibration that can be used augur is left out, and it is said why", arguments: [true, false])
    func withoutCalibration(_ isDamaged: Bool) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(Data(contentsOf: Fixtures.diary), to: "other.gguf")
        if isDamaged { try folder.write("GGUF", to: "other.augur.gguf") }
        let model = try Model(contentsOf: file)
        let plan = try DemoPlan(model, seed: 8, isQuick: false)
        let sides = try plan.sides(DiaryWriter(model), responseTokens: 2000)
        #expect(sides.map { type(of: $0.policy).descriptor.name } == ["full", "morphkv"])
        let text = plan.introduction(sides, responseTokens: 2000)
        #expect(text.contains("augur is left out: ") && text.contains("other.augur.gguf"), "\(text)")
        #expect(!plan.chartedPolicies.contains("augur") && !plan.methods.contains { $0.policy.contains("budgets") })
        #expect(plan.methods.contains { $0.policy == "morphkv:fusion=max" })
    }
}
