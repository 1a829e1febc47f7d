import Ggml
import Testing

@testable import MorphKV

/// The rule that keeps positions close together, and the turning of keys, each by itself.
@Suite struct PositionFloorTests {
    @Test("entries keep their order, stay distinct and end below the next position, whatever left in between")
    func movesKeepOrder() {
        var random = SplitMix64(seed: 7)
        for _ in 0..<60 {
            let (entries, stride) = (4 + Int(random.next() % 40), 1 + Int(random.next() % 20))
            guard let floor = try? PositionFloor(entries + stride + 5, context: 1000, entries: entries) else {
                continue
            }
            var (held, at, level): ([Int], [Int: Int], Int) = ([], [:], 0)
            for token in 0..<400 {
                if let raised = floor.raised(level, before: token + 1) {
                    level = raised
                    let own = held.map { at[$0]! }
                    for (entry, position) in zip(held, PositionFloor.moved(own, to: raised)) {
                        #expect(position > at[entry]!)
                        at[entry] = position
                    }
                    #expect(at[held[0]]! >= raised)
                }
                if held.count == entries { at[held.remove(at: Int(random.next() % UInt64(entries)))] = nil }
                held.append(token)
                at[token] = token
                let positions = held.map { at[$0]! }
                #expect(zip(positions, positions.dropFirst()).allSatisfy { $0 < $1 } && positions.last == token)
                #expect(token - positions[0] < floor.limit)
            }
        }
    }

    @Test("the usual limit begins at the end of the trained context and is three quarters of it")
    func usualLimit() throws {
        let floor = try #require(try PositionFloor(nil, context: 512, entries: 256))
        #expect(floor.limit == 384 && floor.stride == 64 && floor.start == 512)
        #expect(floor.raised(0, before: 512) == nil && floor.raised(0, before: 513) == 512 - 384 + 64)
        #expect(floor.raised(192, before: 576) == nil && floor.raised(192, before: 577) == 256)
        // Up to the trained context it makes room, then there is none.
        #expect(try PositionFloor(nil, context: 512, entries: 400)?.limit == 464)
        #expect(try PositionFloor(nil, context: 512, entries: 449) == nil)
    }

    @Test("a limit that was asked for holds from its first token on, or says why it cannot")
    func limitsAskedFor() throws {
        let floor = try #require(try PositionFloor(100, context: 512, entries: 80))
        #expect(floor.limit == 100 && floor.start == 100 && floor.stride == 16)
        #expect(try PositionFloor(100, context: 512, entries: 95)?.limit == 111)
        for (asked, entries) in [(100, 101), (512, 500), (600, 10)] {
            let error = #expect(throws: CacheError.self) {
                try PositionFloor(asked, context: 512, entries: entries)
            }
            #expect(error?.kind == .positions && error?.description.contains("\(asked)") == true)
        }
        #expect(CacheOptions.PositionLimit("none") == CacheOptions.PositionLimit.none)
        #expect(CacheOptions.PositionLimit("trained") == .trained && CacheOptions.PositionLimit("99") == .tokens(99))
        for wrong in ["", "0", "-3", "x", "1e3"] { #expect(CacheOptions.PositionLimit(wrong) == nil) }
    }

    /// RoPE as the architectures have it.
    static let variants: [(String, RopeParameters, factors: [Float]?)] = [
        (false, nil), (true, nil), (true, (0..<12).map { 1 + Float($0) / 4 }),
    ].flatMap { isYarn, factors in
        [RopeParameters.Pairing.neighbours, .halves].map { pairing in
            var rope = RopeParameters(pairing: pairing, dimensions: 24, base: 10000)
            rope.scale = isYarn ? 0.25 : 0.5
            rope.extrapolation = isYarn ? 1 : 0
            rope.originalContext = 256
            rope.attentionFactor = isYarn ? 1.1 : 1
            return ("\(pairing) yarn \(isYarn) factors \(factors != nil)", rope, factors)
        }
    }

    @Test("a rotated key that is turned is the key rotated to there", arguments: 0..<variants.count)
    func turnsAreRotations(_ index: Int) throws {
        let (_, rope, factors) = Self.variants[index]
        let backend = try Backend(.cpu(), threads: 1)
        var random = SplitMix64(seed: 3)
        let distances = [1, 7, 300, 3000, -40]
        let keys = random.normals(32 * distances.count)
        let from = distances.map { _ in Int(random.next() % 500) + 100 }
        func rotated(_ rows: [Float], to positions: [Int]) throws -> [Float] {
            let graph = try Graph(on: backend, capacity: 16)
            let input = graph.input(.f32, [32, 1, positions.count], name: "rows")
            let at = graph.input(.i32, [positions.count], name: "positions")
            let divisors = factors.map { graph.input(.f32, [$0.count], name: "factors") }
            let result = graph.rope(input, positions: at, factors: divisors, rope)
            graph.output(result)
            try graph.allocate()
            input.write(rows)
            at.write(positions.map { Int32($0) })
            if let factors { divisors?.write(factors) }
            try graph.compute()
            return result.values()
        }
        let frequencies = RopeFrequencies(rope, factors: factors)
        let turns = distances.map { frequencies.turn(by: $0) }
        let graph = try Graph(on: backend, capacity: 32)
        let input = graph.input(.f32, [32, distances.count], name: "rows")
        let cosines = graph.input(.f32, [12, distances.count], name: "cosines")
        let sines = graph.input(.f32, [12, distances.count], name: "sines")
        let result = graph.rotated(input, rope.pairing, cosines: cosines, sines: sines)
        graph.output(result)
        try graph.allocate()
        input.write(try rotated(keys, to: from))
        cosines.write(turns.flatMap(\.cosines))
        sines.write(turns.flatMap(\.sines))
        try graph.compute()
        let expected = try rotated(keys, to: zip(from, distances).map { $0 + $1 })
        let found: [Float] = result.values()
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 2e-3 }, "\(Self.variants[index].0)")
    }
}
