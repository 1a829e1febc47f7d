import Foundation
import MorphKV
import Testing

@Suite struct PolicyRegistryTests {
    @Test("every policy prints itself so that it can be read back", arguments: PolicyRegistry.standard.descriptors)
    func specificationsAreReadBack(_ descriptor: PolicyDescriptor) throws {
        let required = descriptor.parameters.filter { $0.defaultValue == nil }.map { ($0.name, "77") }
        let policy = try PolicyRegistry.standard.policy(
            descriptor.name, Dictionary(uniqueKeysWithValues: required))
        let text = policy.specification
        #expect(try PolicyRegistry.standard.policy(text).specification == text)
        #expect(policy.arguments.values.map(\.name) == descriptor.parameters.map(\.name))
    }

    @Test("every policy survives coding", arguments: PolicyRegistry.standard.descriptors)
    func policiesSurviveCoding(_ descriptor: PolicyDescriptor) throws {
        func check<Policy: CachePolicy>(_ policy: Policy) throws {
            let data = try JSONEncoder().encode(policy)
            let decoded = try JSONDecoder().decode(Policy.self, from: data)
            #expect(decoded == policy)
        }
        let required = descriptor.parameters.filter { $0.defaultValue == nil }.map { ($0.name, "77") }
        try check(PolicyRegistry.standard.policy(descriptor.name, Dictionary(uniqueKeysWithValues: required)))
    }

    @Test func presetsCanBeOverridden() throws {
        let policy = try PolicyRegistry.standard.policy("morphkv:reference,capacity=100,fusion=sum")
        let morphKV = try #require(policy as? MorphKVPolicy)
        #expect(morphKV.normalization == .candidates && morphKV.groupReduction == .max && morphKV.rows == -1)
        #expect(morphKV.fusion == .sum && morphKV.capacity == 100)
    }

    @Test(
        "mistakes are named",
        arguments: [
            "nothing", "morphkv", "morphkv:capacity=0", "morphkv:capacity=x", "morphkv:capacity=10,capacity=11",
            "morphkv:capacity=10,colour=red", "morphkv:capacity=10,fusion=mean", "morphkv:capacity", "full:x=1", "",
            "morphkv:capacity=99999999999999999999", "morphkv:capacity=10,evictAfter=0.5",
            "morphkv:capacity=10,decay=nan", "h2o:capacity=64,prompt=1.5", "tova:capacity=64,prompt=-0.1",
            "random:capacity=64,seed=-1", "random:capacity=64,seed=4294967296",
        ])
    func mistakesAreNamed(_ text: String) {
        #expect(throws: CacheError.self) { try PolicyRegistry.standard.policy(text) }
    }

    @Test func furtherPoliciesCanBeAdded() throws {
        let registry = PolicyRegistry([FullPolicy.self]).adding(StreamingPolicy.self)
        #expect(registry.descriptors.map(\.name) == ["full", "streaming"])
        #expect(try registry.policy("streaming:capacity=9").specification == "streaming:capacity=9")
    }
}
