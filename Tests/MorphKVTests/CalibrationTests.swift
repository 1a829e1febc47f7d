import Foundation
import Ggml
import Testing

@testable import MorphKV

/// A calibration's file, whose it is, and the slots that its counts are turned into.
@Suite struct CalibrationTests {
    private static func model() throws -> Model { try TestCalibrations.model(TestModels.shape("llama")) }

    /// The same with its weights in another type.
    private static func stored(_ made: Calibration, as type: ElementType) throws -> Calibration {
        try Calibration(
            model: made.model, ages: made.ages, windows: made.windows, thresholds: made.thresholds,
            weights: made.weights, biases: made.biases, counts: made.counts, type: type, provenance: made.provenance)
    }

    /// Places that need slots: counts that fall with the threshold, and a total with room for everybody.
    private struct Need {
        let window: Int
        /// Each place's count above the lowest threshold.
        let base: [Double]
        let counts: [[Double]]
        let total: Int

        init(atMost most: UInt64, _ random: inout SplitMix64) {
            let places = Int(random.next() % most) + 1
            window = Int(random.next() % 12)
            let base = (0..<places).map { _ in Double(random.next() % 4000) / 10 }
            self.base = base
            counts = (0..<8).map { threshold in base.map { $0 / Double(1 + threshold * threshold) } }
            total = places * (window + 2 + Int(random.next() % 300))
        }
    }

    private static func error(_ body: () throws -> Void) -> CacheError? {
        do {
            try body()
            return nil
        } catch { return error as? CacheError }
    }

    @Test("a file that is read back says what was written", arguments: [ElementType.f32, .f16, .q8_0])
    func filesComeBack(_ type: ElementType) throws {
        let model = try Self.model()
        let made = try TestCalibrations.random(for: model)
        let calibration = try Self.stored(made, as: type)
        let url = TestContexts.temporaryFile()
        try calibration.write(to: url)
        let read = try Calibration(contentsOf: url)
        #expect(read.model == made.model && read.ages == made.ages && read.windows == made.windows)
        #expect(read.thresholds == made.thresholds && read.counts == made.counts && read.biases == made.biases)
        #expect(read.provenance == made.provenance && read.bytes == calibration.bytes)
        #expect(read == calibration && read.weights == calibration.weights)
        if type == .f32 { #expect(read.weights == made.weights) }
        // Half a step of the block's scale, which is rounded too.
        let step = type == .q8_0 ? made.weights.joined().map(abs).max()! / 250 : 0
        for (a, b) in zip(read.weights.joined(), made.weights.joined()) {
            #expect(abs(a - b) <= max(abs(b) * 0x1p-10, step))
        }
    }

    @Test(
        "weights that a device has are the same, and are written the same",
        arguments: [ElementType.f32, .f16, .q8_0])
    func loaded(_ type: ElementType) throws {
        let model = try Self.model()
        let made = try TestCalibrations.random(for: model)
        let calibration = try Self.stored(made, as: type)
        let (before, after) = (TestContexts.temporaryFile(), TestContexts.temporaryFile())
        let weights = calibration.weights
        try calibration.write(to: before)
        #expect(calibration.loaded == nil)
        try calibration.load(on: model.placement)
        #expect(calibration.loaded != nil && calibration.weights == weights)
        try calibration.write(to: after)
        #expect(try Data(contentsOf: before) == Data(contentsOf: after))
    }

    @Test("a model finds the calibration beside it, takes one that is named, and needs none")
    func whereItIs() throws {
        let model = try Self.model()
        #expect(try model.calibration() == TestCalibrations.random(for: model))
        let alone = try Model(contentsOf: TestModels.url(TestModels.shape("llama")))
        #expect(try alone.calibration() == nil)
        let beside = Calibration.url(besideModel: model.url)
        let named = try Model(contentsOf: TestModels.url(TestModels.shape("llama")), calibration: beside)
        #expect(try named.calibration() == model.calibration())
        let missing = try Model(contentsOf: model.url, calibration: TestContexts.temporaryFile())
        #expect(throws: GgmlError.self) { try missing.calibration() }
        // What was found stays, so that all sequences of a model are under the same.
        for later in [alone, missing] { try TestCalibrations.random(for: model).write(to: later.calibrationURL) }
        #expect(try alone.calibration() == nil)
        #expect(throws: GgmlError.self) { try missing.calibration() }
    }

    @Test(
        "without a calibration, with another model's and with a damaged one the error says so and names augur's remedy")
    func wrongOnes() throws {
        let url = try TestModels.url(TestModels.shape("llama"))
        let policy = CacheOptions(policy: AugurPolicy(capacity: 24))
        let none = Self.error { _ = try Engine(Model(contentsOf: url), policy, threads: 1) }
        let calibration = Calibration.url(besideModel: url).lastPathComponent
        #expect(none?.kind == .calibration && none?.description.contains("there is no \(calibration)") == true)
        #expect(none?.description.contains("'morphkv calibrate -m \(url.lastPathComponent)'") == true)
        let other = try TestCalibrations.model(TestModels.shape("llama"), seed: 9)
        let foreign = try Model(contentsOf: url, calibration: Calibration.url(besideModel: other.url))
        #expect(Self.error { _ = try Engine(foreign, policy, threads: 1) }?.kind == .calibration)
        let whole = try Data(contentsOf: Calibration.url(besideModel: other.url))
        for length in stride(from: 1, to: whole.count, by: max(1, whole.count / 40)) {
            let damaged = TestContexts.temporaryFile()
            try whole.prefix(length).write(to: damaged)
            #expect(Self.error { _ = try Calibration(contentsOf: damaged) }?.kind == .calibration, "\(length)")
            var altered = whole
            altered[length] ^= 0x40
            try altered.write(to: damaged)
            #expect(Self.error { _ = try Calibration(contentsOf: damaged) }?.kind == .calibration, "\(length)")
        }
        #expect(Self.error { _ = try Calibration(contentsOf: other.url) }?.kind == .calibration)
        // The engine of another policy never looks at it.
        try Engine(foreign, .morphKV(capacity: 24, window: 6), threads: 1).prefill([1, 2, 3])
    }

    @Test("numbers that do not fit together are refused")
    func contradictions() throws {
        let made = try TestCalibrations.random(for: Self.model())
        func make(
            ages: [Int]? = nil, windows: [Int]? = nil, weights: [[Float]]? = nil, counts: [Float]? = nil
        ) -> CacheError? {
            Self.error {
                _ = try Calibration(
                    model: made.model, ages: ages ?? made.ages, windows: windows ?? made.windows,
                    thresholds: made.thresholds, weights: weights ?? made.weights, biases: made.biases,
                    counts: counts ?? made.counts, provenance: made.provenance)
            }
        }
        #expect(make() == nil)
        #expect(make(ages: [1, 4, 16, 1 << 24], windows: [0, 1 << 24]) == nil)
        for ages in [
            [], [0, 4, 16, 64], [4, 4, 16, 64], Array(1...9), [1, 2, 3], [1, 4, 16, 1 << 25], [1, 4, 16, .max],
        ] {
            #expect(make(ages: ages)?.kind == .calibration)
        }
        for windows in [[], [8, 4], [-1, 4], [4, 1 << 25], [.min, .max]] {
            #expect(make(windows: windows)?.kind == .calibration)
        }
        #expect(make(counts: Array(made.counts.dropLast()))?.kind == .calibration)
        for count: Float in [.nan, -1, 1.1e9, .greatestFiniteMagnitude] {
            #expect(make(counts: made.counts.map { _ in count })?.kind == .calibration)
        }
        for number in [-1, 1 << 40] {
            let error = Self.error {
                _ = try Calibration(
                    model: made.model, ages: made.ages, windows: made.windows, thresholds: made.thresholds,
                    weights: made.weights, biases: made.biases, counts: made.counts,
                    provenance: .init(source: "", texts: 1, tokens: number, longest: 1))
            }
            #expect(error?.kind == .calibration)
        }
        #expect(make(weights: Array(made.weights.dropLast()))?.kind == .calibration)
        #expect(make(weights: made.weights.map { Array($0.dropLast()) })?.kind == .calibration)
        // Beyond what f16 can hold, be it the number or the scale of a block.
        #expect(make(weights: made.weights.map { $0.map { _ in 1e30 } })?.kind == .calibration)
    }

    @Test("budgets add up to the total, leave everybody room, and give more where more is needed")
    func budgetsAddUp() {
        var random = SplitMix64(seed: 4)
        for _ in 0..<500 {
            let need = Need(atMost: 40, &random)
            let (window, base, total) = (need.window, need.base, need.total)
            let budgets = SlotBudgets.solve(need.counts, total: total, window: window)
            #expect(budgets.reduce(0, +) == total && budgets.allSatisfy { $0 >= window + 2 })
            for (a, b) in zip(base.indices, base.indices.dropFirst()) where base[a] > base[b] {
                #expect(budgets[a] >= budgets[b] - 1)
            }
        }
    }

    @Test("no place has more slots than its limit, and what it cannot use goes to the others")
    func budgetsWithLimits() {
        var random = SplitMix64(seed: 8)
        for round in 0..<300 {
            let need = Need(atMost: 20, &random)
            let (window, counts, total, places) = (need.window, need.counts, need.total, need.base.count)
            let limits = (0..<places).map { place in
                round % 3 > 0 && place % 2 == 0 ? nil : Int(random.next() % 200) + 1
            }
            let budgets = SlotBudgets.solve(counts, total: total, window: window, limits: limits)
            for (budget, limit) in zip(budgets, limits) { #expect(budget <= limit ?? budget) }
            let most = limits.contains(nil) ? Int.max : limits.reduce(0) { $0 + $1! }
            #expect(budgets.reduce(0, +) == min(total, most))
            let free = [Int?](repeating: nil, count: places)
            #expect(
                SlotBudgets.solve(counts, total: total, window: window, limits: free)
                    == SlotBudgets.solve(counts, total: total, window: window))
        }
    }

    @Test("budgets are solved at once where almost everything is cut off, and the largest give way")
    func hugeWindows() {
        let window = 1 << 24
        let budgets = SlotBudgets.solve([[1e9, 8e8, 0, 0, 0]], total: 5 * window + 31, window: window)
        #expect(budgets == [window + 12, window + 13, window + 2, window + 2, window + 2])
    }

    @Test("a capacity without room for every layer is refused, whatever the policy", arguments: ["layer", "head"])
    func noRoom(_ budgets: String) throws {
        let model = try Self.model()
        for policy in ["augur", "h2o", "keydiff", "morphkv"] {
            let text = "\(policy):capacity=9,window=8,budgets=\(budgets)"
            let options = CacheOptions(policy: try PolicyRegistry.standard.policy(text))
            #expect(Self.error { _ = try Engine(model, options, threads: 1) }?.kind == .invalidPolicy)
        }
    }

    @Test("slots are spread as the calibration says, and the total is the capacity's", arguments: ["layer", "head"])
    func slotsAreSpread(_ budgets: String) throws {
        let model = try TestCalibrations.model(TestModels.shape("llama", queryHeads: 4, kvHeads: 2))
        let policy = try PolicyRegistry.standard.policy("augur:capacity=30,budgets=\(budgets)")
        let engine = try Engine(model, CacheOptions(policy: policy), threads: 1)
        try engine.prefill(TestModels.tokens(20, seed: 1))
        for token in TestModels.tokens(60, seed: 2) { try engine.decode(token) }
        try engine.prefill(TestModels.tokens(30, seed: 3))
        try engine.decode(5)
        let held = engine.positions.map { $0.map(\.count) }
        #expect(held.joined().reduce(0, +) == 30 * 2 * 2)
        #expect(Set(held.joined()).count > 1 && held.allSatisfy { budgets == "head" || Set($0).count == 1 })
        #expect(engine.positions.joined().allSatisfy { $0.last == 110 && Set($0).count == $0.count })
    }

    @Test("heads with slots of their own are refused under rules that remember queries")
    func headsShareRings() throws {
        let model = try Self.model()
        let morphkv = MorphKVPolicy(capacity: 24, window: 6, budgets: SlotBudgets(.head))
        #expect(
            Self.error { _ = try Engine(model, CacheOptions(policy: morphkv), threads: 1) }?.kind == .invalidPolicy)
    }
}
