import MorphKV
import TestSupport
import Testing

@testable import MorphDemo

@Suite struct DemoMethodTests {
    @Test(arguments: [
        ("128", DemoCapacity.entries(128), 128), ("1/8", .share(1, of: 8), 125), ("3/4", .share(3, of: 4), 750),
        ("1/4000", .share(1, of: 4000), 16),
    ])
    func capacitiesAreNumbersOrShares(_ text: String, _ capacity: DemoCapacity, _ entries: Int) {
        #expect(DemoCapacity(text) == capacity)
        #expect(capacity.description == text)
        #expect(capacity.entries(forResponse: 1000) == entries)
    }

    @Test(arguments: ["", "0", "-3", "1/0", "0/8", "1/2/3", "/8", "half", "1.5"])
    func otherCapacitiesAreRefused(_ text: String) { #expect(DemoCapacity(text) == nil) }

    @Test("each policy meets each capacity, unless it has none or states it")
    func methods() throws {
        let methods = try DemoMethod.methods(
            ["full", "tova", "morphkv:capacity=64,window=8"], [.entries(100), .share(1, of: 8)])
        #expect(methods.map(\.capacity) == [nil, .entries(100), .share(1, of: 8), nil])
        #expect(methods[0].isFull && !methods[1].isFull)
        #expect(methods.map(\.needsResponseLength) == [false, false, true, false])
    }

    @Test(
        "a window that is not stated is the default, but at most a quarter of the capacity",
        arguments: [
            ("morphkv", 1000, "morphkv:capacity=1000"), ("morphkv", 64, "morphkv:capacity=64,window=16"),
            ("morphkv:window=5", 64, "morphkv:capacity=64,window=5"),
            (
                "morphkv:reference", 64,
                "morphkv:capacity=64,window=16,fusion=max,normalization=candidates,group=max,rows=-1"
            ),
            ("snapkv", 64, "snapkv:promptCapacity=64,window=16"), ("streaming", 64, "streaming:capacity=64"),
        ])
    func windows(_ policy: String, _ entries: Int, _ expected: String) throws {
        let method = try DemoMethod.methods([policy], [.entries(entries)])[0]
        #expect(try method.cachePolicy(responseTokens: 0).specification == expected)
    }

    @Test("a policy that does not exist or cannot be is refused before anything runs")
    func mistakes() {
        #expect(throws: CacheError.self) { try DemoMethod.methods(["nothing"], [.entries(64)]) }
        #expect(throws: CacheError.self) { try DemoMethod.methods(["morphkv:fusion=mean"], [.entries(64)]) }
        #expect(throws: CacheError.self) { try DemoMethod.methods(["morphkv:capacity=0"], []) }
    }

    @Test("every registered policy is measured, with its presets and choices")
    func everyPolicy() throws {
        let policies = try DemoMethod.allPolicies(for: Model(contentsOf: Fixtures.diary))
        #expect(Set(policies).isSuperset(of: PolicyRegistry.standard.descriptors.map(\.name)))
        #expect(Set(policies).count == policies.count)
        for policy in [
            "morphkv:reference", "morphkv:reference-llama", "morphkv:fusion=max", "morphkv:normalization=candidates",
            "morphkv:group=max", "morphkv:decay=0.95", "tova:heads=layer", "h2o:group=max", "morphkv:budgets=layer",
            "h2o:budgets=layer", "keydiff:budgets=layer", "streaming:budgets=layer", "augur:budgets=head",
            "augur:budgets=even",
        ] {
            #expect(policies.contains(policy))
        }
        #expect(!policies.contains("adakv:curve=weights"), "it needs the weights")
        #expect(policies.count { $0.contains("budgets=") } == 6 && !policies.contains { $0.contains("prompt=") })
        #expect(try DemoMethod.methods(policies, [.share(1, of: 16)]).count == policies.count)
    }

    @Test("what needs a calibration is left out where there is none")
    func withoutCalibration() throws {
        let all = try DemoMethod.allPolicies(for: Model(contentsOf: Fixtures.diary))
        let without = try DemoMethod.allPolicies(
            for: Model(contentsOf: Fixtures.diary, calibration: Fixtures.diary))
        #expect(without == all.filter { !$0.contains("augur") && !$0.contains("budgets=") })
        #expect(without.contains("full") && without.contains("morphkv"))
    }
}
