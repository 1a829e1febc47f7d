import Foundation
import Ggml
import Testing

@testable import MorphKV

/// Bytes in place of slots: what a cache really takes fits, and one entry more would not.
@Suite struct ByteBudgetTests {
    @Test(
        "sizes and shares as text",
        arguments: [
            ("64000000", ByteBudget.bytes(64_000_000)), ("64M", .bytes(64_000_000)), ("64 MB", .bytes(64_000_000)),
            ("64MiB", .bytes(64 << 20)), ("512Ki", .bytes(512 << 10)), ("1.5g", .bytes(1_500_000_000)),
            ("100b", .bytes(100)),
            ("1/8", .share(1, of: 8)), ("3/4", .share(3, of: 4)),
        ])
    func texts(_ text: String, _ budget: ByteBudget) {
        #expect(ByteBudget(text) == budget)
        #expect(ByteBudget(budget.description) == budget)
    }

    @Test(
        "everything else is refused",
        arguments: [
            "", "0", "0.2", "-1", "1/0", "0/8", "1/2/3", "a/b", "8 tons", "M", "1e9", "64 M B", "9999999999T", "１２",
            "99999999999999999999/1",
        ])
    func badTexts(_ text: String) { #expect(ByteBudget(text) == nil) }

    /// Policies whose caches have constant size, variants with every kind of state among them.
    static let constant = [
        "streaming", "streaming:prompt=0.5", "h2o", "tova", "morphkv", "morphkv:fusion=max", "morphkv:reference",
        "morphkv:reference-llama", "augur", "augur:budgets=head", "keydiff", "random",
    ]

    @Test("the cache takes no more than it may, pins or not, and one entry more would take more", arguments: constant)
    func fits(_ policy: String) throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let specification = try PolicySpecification(parsing: policy)
        for pins in [false, true] {
            var options = CacheOptions(policy: FullPolicy(), elementType: .f16)
            options.pins = pins
            for share in [2, 4] {
                let budget = try ByteBudget.share(1, of: share).bytes(model, options, tokens: 1000)
                let fitted = try FittedCache(specification, in: budget, model, options)
                let engine = try Engine(model, options.with(fitted.policy), threads: 1)
                try engine.prefill(TestModels.tokens(150, seed: 1))
                for token in TestModels.tokens(20, seed: 2) { try engine.decode(token) }
                let shared = engine.cache.sharedBytes
                #expect(engine.statistics.allocatedBytes + shared == fitted.bytes)
                #expect(fitted.bytes <= budget && Double(fitted.bytes) > 0.9 * Double(budget), "\(fitted)")
                let more = try specification.policy(entries: fitted.entries + 1)
                let plan = try CachePlan(model, options.with(more), tokens: 1000)
                #expect(plan.bytes + plan.sharedBytes > budget)
            }
        }
    }

    @Test("policies that cut the prompt are cut to the keys and values that fit; kvzip to that share of the prompt")
    func cutting() throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let options = CacheOptions(policy: FullPolicy(), elementType: .f16)
        let budget = try ByteBudget.share(1, of: 5).bytes(model, options, tokens: 1000)
        for name in ["snapkv", "pyramidkv", "adakv"] {
            let fitted = try FittedCache(PolicySpecification(name), in: budget, model, options)
            #expect(fitted.entries == 200 && fitted.policy.declaredCapacity == 200 && fitted.bytes == budget)
        }
        let kvzip = try FittedCache(PolicySpecification("kvzip"), in: budget, model, options, promptTokens: 400)
        #expect((kvzip.policy as? KVzipPolicy)?.ratio == 0.5 && kvzip.entries == 200)
        let all = try FittedCache(PolicySpecification("kvzip"), in: budget, model, options, promptTokens: 100)
        #expect((all.policy as? KVzipPolicy)?.ratio == 1)
        for text in ["kvzip:ratio=0.3", "full"] {
            #expect(throws: CacheError.self) {
                try FittedCache(PolicySpecification(parsing: text), in: budget, model, options, promptTokens: 100)
            }
        }
    }

    @Test("too few bytes are an error with the least that works, and that does work", arguments: constant)
    func tooFew(_ policy: String) throws {
        let model = try TestCalibrations.model(TestModels.shape("llama"))
        let options = CacheOptions(policy: FullPolicy(), elementType: .f16)
        let specification = try PolicySpecification(parsing: policy)
        let error = try #require(throws: CacheError.self) { try FittedCache(specification, in: 10, model, options) }
        #expect(error.kind == .bytes && error.description.contains("; 10 are allowed"), "\(error)")
        let match = try #require(error.description.firstMatch(of: /needs ([0-9]+) bytes/))
        let least = try #require(Int(match.1))
        #expect(try FittedCache(specification, in: least, model, options).bytes == least)
        #expect(throws: CacheError.self) { try FittedCache(specification, in: least - 1, model, options) }
    }

    @Test("layers with sliding windows and blocks without attention are counted", arguments: ["gemma3", "qwen35"])
    func otherModels(_ architecture: String) throws {
        let model = try Model(contentsOf: TestModels.url(TestModels.shape(architecture)))
        let options = CacheOptions(policy: FullPolicy(), elementType: .f16)
        let budget = try ByteBudget.share(1, of: 2).bytes(model, options, tokens: 2000)
        let fitted = try FittedCache(PolicySpecification("morphkv"), in: budget, model, options)
        let engine = try Engine(model, options.with(fitted.policy), threads: 1)
        #expect(engine.statistics.allocatedBytes == fitted.bytes && fitted.bytes <= budget)
        #expect(Double(fitted.bytes) > 0.9 * Double(budget))
    }
}
