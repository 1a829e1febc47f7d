import MorphKV
import Testing

@Suite struct PolicySpecificationTests {
    /// Words that text could trip over: separators in places where they are none, signs that combine, nothing at all.
    private static let words = [
        "", "x", "capacity", "64", "a:b", "::", "\u{301}", "e\u{301}=", "=", "==", "\r\n", "\0", " ", "🙂", "1+2", "+",
        "reference", "-1", "1e400", "nan",
    ]

    @Test("what is printed is read back as it was", arguments: PolicyRegistry.standard.descriptors)
    func printedIsReadBack(_ descriptor: PolicyDescriptor) throws {
        var random = SplitMix64(seed: 1)
        for _ in 0..<300 {
            let preset = descriptor.presets.keys.sorted().randomElement(using: &random)
            var specification = try PolicySpecification(
                descriptor.name, preset: Bool.random(using: &random) ? preset : nil)
            let odd = Self.words.filter { !$0.utf8.contains(UInt8(ascii: "=")) }
            let names = Set(descriptor.parameters.map(\.name) + odd).sorted()
            for name in names.shuffled(using: &random).prefix(Int.random(in: 0...5, using: &random)) {
                try specification.add(name, Self.value(descriptor.parameter(name), &random))
            }
            let text = specification.description
            #expect(try PolicySpecification(parsing: text) == specification, "\(text)")
        }
    }

    @Test("policies come back from their specifications", arguments: PolicyRegistry.standard.descriptors)
    func policiesComeBack(_ descriptor: PolicyDescriptor) throws {
        var random = SplitMix64(seed: 2)
        for _ in 0..<300 {
            var specification = try PolicySpecification(descriptor.name)
            for parameter in descriptor.parameters where parameter.defaultValue == nil || Bool.random(using: &random) {
                try specification.add(parameter.name, Self.valid(parameter, &random))
            }
            let policy = try PolicyRegistry.standard.policy(specification)
            let printed = PolicySpecification(policy)
            #expect(printed.description == policy.specification)
            let again = try PolicyRegistry.standard.policy(PolicySpecification(parsing: printed.description))
            #expect(again.arguments == policy.arguments, "\(specification)")
        }
    }

    @Test("hostile text is a policy or a typed error")
    func hostileText() {
        var random = SplitMix64(seed: 3)
        let parts = Self.words + ["morphkv", "full", "kvzip", ":", ",", "window", "repeatFirst"]
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...12, using: &random)
            let text = (0..<count).map { _ in parts.randomElement(using: &random)! }.joined()
            do {
                let specification = try PolicySpecification(parsing: text)
                #expect(try PolicySpecification(parsing: specification.description) == specification, "\(text)")
                _ = try PolicyRegistry.standard.policy(text)
            } catch {
                #expect(error is CacheError, "\(text)")
            }
        }
    }

    @Test(
        "every word must be a preset, wherever it stands",
        arguments: [
            "morphkv:windw,reference,capacity=64", "morphkv:reference,windw,capacity=64",
            "morphkv:capacity=64,windw,reference", "morphkv:windw,windw,capacity=64", "full:x",
            "h2o:reference,capacity=64",
        ])
    func unknownWords(_ text: String) throws {
        let specification = try PolicySpecification(parsing: text)
        let fromText = #expect(throws: CacheError.self) { try PolicyRegistry.standard.policy(text) }
        let fromValue = #expect(throws: CacheError.self) { try PolicyRegistry.standard.policy(specification) }
        for error in [fromText, fromValue] {
            #expect(error?.kind == .invalidPolicy && error?.description.contains("nor a preset") == true)
        }
    }

    @Test("of several presets the last one counts")
    func severalPresets() throws {
        let registry = PolicyRegistry([TwoPresetsPolicy.self])
        for (text, expected) in [
            ("two:large", "two:entries=9"), ("two:large,small", "two:entries=3"), ("two:small,large", "two:entries=9"),
            ("two:small,entries=5,large", "two:entries=5"),
        ] {
            #expect(try registry.policy(text).specification == expected)
        }
        #expect(throws: CacheError.self) { try registry.policy("two:medium,small") }
    }

    @Test(
        "of several mistakes the unknown policy is reported",
        arguments: ["nosuch:a=1,a=2", "nosuch:word", ":a=1,a=2", ""])
    func unknownPolicies(_ text: String) {
        let error = #expect(throws: CacheError.self) { try PolicyRegistry.standard.policy(text) }
        #expect(error?.kind == .unknownPolicy)
    }

    @Test("long text is read in one go")
    func longText() throws {
        let count = 1 << 20
        let (commas, nines) = (String(repeating: ",", count: count), String(repeating: "9", count: count))
        let text = "morphkv:\(commas)capacity=\(nines)"
        #expect(throws: CacheError.self) { try PolicyRegistry.standard.policy(text) }
    }

    @Test("words that would read differently in text are refused")
    func separators() throws {
        #expect(throws: CacheError.self) { try PolicySpecification("a:b") }
        for preset in ["", "a,b", "a=b"] {
            #expect(throws: CacheError.self) { try PolicySpecification("morphkv", preset: preset) }
        }
        var specification = try PolicySpecification("morphkv")
        for (name, value) in [("a,b", "1"), ("a=b", "1"), ("a", "1,2")] {
            #expect(throws: CacheError.self) { try specification.add(name, value) }
            #expect(throws: CacheError.self) { try specification.set(name, value) }
        }
        #expect(specification.description == "morphkv")
    }

    @Test("arguments can be stated, stated anew and taken back, and are stated once")
    func edits() throws {
        var specification = try PolicySpecification(parsing: "morphkv:window=8,reference,,sinks=2")
        #expect(specification.description == "morphkv:reference,window=8,sinks=2")
        #expect(throws: CacheError.self) { try specification.add("window", 9) }
        try specification.set("window", 9)
        specification.remove("sinks")
        try specification.set("decay", 0.5)
        #expect(specification["window"] == "9" && specification["sinks"] == nil)
        #expect(specification.description == "morphkv:reference,window=9,decay=0.5")
    }

    @Test(
        "the capacity is the parameter that the policy declares as such",
        arguments: [
            ("morphkv", "morphkv:capacity=64"), ("tova:heads=layer", "tova:heads=layer,capacity=64"),
            ("snapkv", "snapkv:promptCapacity=64"), ("adakv:alpha=0.5", "adakv:alpha=0.5,promptCapacity=64"),
        ])
    func capacities(_ text: String, _ expected: String) throws {
        var specification = try PolicySpecification(parsing: text)
        #expect(specification.lacksCapacity())
        try specification.addCapacity(64)
        #expect(specification.description == expected && !specification.lacksCapacity())
        #expect(try PolicyRegistry.standard.policy(specification).declaredCapacity == 64)
        #expect(throws: CacheError.self) { try specification.addCapacity(65) }
        try specification.setCapacity(65)
        #expect(try PolicyRegistry.standard.policy(specification).declaredCapacity == 65)
        specification.removeCapacity()
        #expect(specification.description == text)
    }

    @Test(
        "a whole number named like a capacity is one, where none is declared",
        arguments: ["capacity", "promptCapacity"])
    func undeclaredCapacity(_ name: String) throws {
        let plain = PolicyDescriptor(
            name: "plain", summary: "", source: "", parameters: [.integer(name, in: 1...100, "entries")])
        #expect(plain.capacity?.name == name && plain.parameters.allSatisfy { !$0.isCapacity })
        let both = PolicyDescriptor(
            name: "both", summary: "", source: "",
            parameters: [.integer(name, in: 1...100, "something else"), .capacity(named: "entries", "entries")])
        #expect(both.capacity?.name == "entries")
    }

    @Test("a policy that only names its capacity so is given one like any other")
    func undeclaredCapacityIsStated() throws {
        let registry = PolicyRegistry([UndeclaredPolicy.self])
        var specification = try PolicySpecification(parsing: "mine")
        #expect(specification.lacksCapacity(in: registry))
        try specification.addCapacity(64, in: registry)
        #expect(specification.description == "mine:capacity=64" && !specification.lacksCapacity(in: registry))
        #expect(try registry.policy(specification).declaredCapacity == 64)
        try specification.setCapacity(65, in: registry)
        #expect(try registry.policy(specification).declaredCapacity == 65)
        specification.removeCapacity(in: registry)
        #expect(specification.description == "mine")
    }

    @Test("policies without a capacity take none", arguments: ["full", "kvzip:ratio=0.5", "nothing"])
    func noCapacity(_ text: String) throws {
        var specification = try PolicySpecification(parsing: text)
        #expect(!specification.lacksCapacity())
        #expect(throws: CacheError.self) { try specification.addCapacity(64) }
        #expect(throws: CacheError.self) { try specification.setCapacity(64) }
        specification.removeCapacity()
        #expect(specification.description == text)
    }

    @Test("every policy declares one capacity at most", arguments: PolicyRegistry.standard.descriptors)
    func oneCapacity(_ descriptor: PolicyDescriptor) {
        #expect(descriptor.parameters.count(where: \.isCapacity) <= 1)
        let sized = [
            "streaming", "h2o", "tova", "morphkv", "augur", "keydiff", "random", "snapkv", "pyramidkv", "adakv",
        ]
        #expect((descriptor.capacity != nil) == sized.contains(descriptor.name))
    }

    private static func value(_ parameter: PolicyDescriptor.Parameter?, _ random: inout SplitMix64) -> String {
        guard let parameter, Bool.random(using: &random) else {
            return words.randomElement(using: &random)! + words.randomElement(using: &random)!
        }
        return valid(parameter, &random)
    }

    /// A value that the parameter accepts.
    private static func valid(_ parameter: PolicyDescriptor.Parameter, _ random: inout SplitMix64) -> String {
        switch parameter.domain {
        case .integer(let range):
            "\(Int.random(in: range.lowerBound...min(range.upperBound, 1 << 20), using: &random))"
        case .number(let range): "\(Double.random(in: range, using: &random))"
        case .choice(let words): words.randomElement(using: &random)!
        case .numbers(let word):
            Bool.random(using: &random)
                ? word ?? "" : (0...3).map { _ in "\(Int.random(in: 0...9, using: &random))" }.joined(separator: "+")
        }
    }
}

/// A policy with two presets, of which the last one counts.
private struct TwoPresetsPolicy: CachePolicy {
    static let descriptor = PolicyDescriptor(
        name: "two", summary: "the recent tokens", source: "a test",
        parameters: [.integer("entries", in: 1...100, default: 1, "entries")],
        presets: ["large": ["entries": "9"], "small": ["entries": "3"]])

    let arguments: PolicyArguments

    init(_ arguments: PolicyArguments) { self.arguments = arguments }

    func rule(for layer: LayerGeometry) throws -> RetentionRule { .everything }
}

/// A policy that does not say which of its parameters is the capacity.
private struct UndeclaredPolicy: CachePolicy {
    static let descriptor = PolicyDescriptor(
        name: "mine", summary: "the recent tokens", source: "a test",
        parameters: [.integer("capacity", in: 1...100, "entries")])

    let arguments: PolicyArguments

    init(_ arguments: PolicyArguments) { self.arguments = arguments }

    func rule(for layer: LayerGeometry) throws -> RetentionRule { .everything }
}
