import CAttention
import Foundation
import Testing

/// The prompt kernel against double precision, for every instruction set and number of threads.
@Suite struct PromptKernelTests {
    /// A prompt's queries on rows; the rows behind the last token's own are there and not seen.
    struct Prompt: Sendable, CustomTestStringConvertible {
        let rows: KernelCase.Shape
        let queries: Int
        let seen: Int
        /// How far back a head's tokens see, one number for each KV head or one for all; empty: everything.
        let windows: [Int]
        /// Whether each query head has a sink.
        var hasSinks = false

        var testDescription: String {
            "\(queries) from \(seen) on, windows \(windows), sinks \(hasSinks): \(rows.testDescription)"
        }
    }

    static let prompts: [Prompt] = {
        var prompts: [Prompt] = []
        func add(_ shape: KernelCase.Shape, queries: Int = 20, seen: Int = 100, windows: [Int] = []) {
            var shape = shape
            // Nobody sees the last five.
            (shape.slots, shape.used) = (seen + queries + 4, seen + queries + 4)
            prompts.append(.init(rows: shape, queries: queries, seen: seen, windows: windows))
        }
        for type in KernelTests.types {
            for other in [type, ATTENTION_F16] { add(.init(keyType: type, valueType: other, dimension: 96)) }
        }
        for dimension in [8, 40, 80, 100, 256] { add(.init(dimension: dimension, heads: 1), seen: 50) }
        for group in [1, 3, 7, 16] { add(.init(dimension: 8, group: group, heads: 3)) }
        add(.init(dimension: 8, group: 200, heads: 1), queries: 3)
        for (queries, seen) in [(1, 1), (1, 64), (2, 64), (200, 1), (63, 65), (193, 8)] {
            add(.init(dimension: 8, group: 1), queries: queries, seen: seen)
        }
        for windows in [[1], [5, 100], [64], [65, 1], [1000]] {
            add(.init(dimension: 8, group: 3), queries: 140, seen: 30, windows: windows)
        }
        // The shapes take turns, so that sinks meet groups, windows and prompts of several tiles.
        return prompts
            + prompts.enumerated().filter { $0.offset % 3 == 2 }.map { prompt in
                var prompt = prompt.element
                prompt.hasSinks = true
                return prompt
            }
    }()

    @Test("attends like double precision, whatever the instructions and threads", arguments: prompts)
    func attends(_ prompt: Prompt) {
        let run = PromptRun(prompt)
        let expected = run.reference().output
        for level in levels {
            for threads in [1, 3] {
                let output = run.attend(level: level, threads: threads)
                #expect(zip(output, expected).allSatisfy { abs(Double($0) - $1) < 2e-5 }, "level \(level.rawValue)")
            }
        }
    }

    @Test("counts what rows receive like double precision, whatever the instructions and threads", arguments: prompts)
    func receives(_ prompt: Prompt) {
        let run = PromptRun(prompt)
        for reduction in [ATTENTION_SUM, ATTENTION_MAX] {
            let expected = run.reference(reduction: reduction).received
            for level in levels {
                for (threads, notes) in [(1, false), (3, false), (3, true)] {
                    let received = run.received(reduction: reduction, notes: notes, level: level, threads: threads)
                    let worst = zip(received, expected).map { abs(Double($0) - $1) / max(1, $1) }.max()!
                    #expect(worst < 2e-5, "level \(level.rawValue)")
                }
            }
        }
    }
}

/// The largest weights that rows of a chunk get, which KVzip wants.
extension PromptKernelTests {
    @Test("finds the largest weights of a chunk like double precision, whatever the instructions", arguments: prompts)
    func findsLargest(_ prompt: Prompt) {
        // The prompt's own text begins with the first query.
        let own = prompt.seen - 1
        guard own > 2, prompt.windows.isEmpty else { return }
        let run = PromptRun(prompt)
        let attended = run.reference().output
        for (chunk, front) in [(0..<own, 0..<0), (own / 3..<own / 2 + 1, 0..<own / 3), (1..<own, 1..<1)] {
            let expected = run.reference(chunk: chunk, front: front, own: own)
            for level in levels {
                for (threads, attends) in [(1, true), (3, true), (3, false)] {
                    let result = run.repeated(
                        .init(chunk: chunk, front: front, own: own), attends: attends, level: level, threads: threads)
                    #expect(
                        zip(result.largest, expected).allSatisfy { abs(Double($0) - $1) < 2e-5 },
                        "level \(level.rawValue)")
                    #expect(
                        !attends || zip(result.output, attended).allSatisfy { abs(Double($0) - $1) < 2e-5 },
                        "level \(level.rawValue)")
                }
            }
        }
    }
}

/// A prompt's numbers, and what comes of them.
private final class PromptRun {
    private let prompt: PromptKernelTests.Prompt
    private let rows: KernelCase
    private let queries, factors: [Float]
    private let first: [Int32]
    private let sinks: [Float]
    private var heads: Int { prompt.rows.heads }
    private var group: Int { prompt.rows.group }
    private var dimension: Int { prompt.rows.dimension }

    init(_ prompt: PromptKernelTests.Prompt) {
        self.prompt = prompt
        rows = KernelCase(prompt.rows, seed: 3)
        queries = rows.floats(prompt.queries * prompt.rows.heads * prompt.rows.group * prompt.rows.dimension).map {
            $0 * 8
        }
        sinks = prompt.hasSinks ? KernelCase.sinks(prompt.rows) : []
        factors = rows.floats(prompt.queries).map { $0 + 1 }
        first = prompt.windows.flatMap { window in
            (0..<prompt.queries).map { Int32(max(0, prompt.seen + $0 - window)) }
        }
    }

    func attend(level: attention_level, threads: Int) -> [Float] {
        run(queries.count, ATTENTION_SUM, level, threads) { attention_prompt_attend($0, $1, $2, $3) }
    }

    /// - Parameter notes: whether attention notes the softmax denominators before.
    func received(reduction: attention_reduction, notes: Bool, level: attention_level, threads: Int) -> [Float] {
        let normalizers = notes ? rows.zeros(prompt.queries * heads * group, filledWith: .nan) : nil
        if notes {
            _ = run(queries.count, reduction, level, threads, normalizers: normalizers) {
                attention_prompt_attend($0, $1, $2, $3)
            }
        }
        return run(heads * prompt.rows.slots, reduction, level, threads, normalizers: normalizers) {
            attention_prompt_received($0, $1, $2, $3)
        }
    }

    /// What the queries repeat.
    struct Repetition {
        let chunk, front: Range<Int>
        let own: Int
    }

    /// The largest weights of a chunk's rows, and attended values if they are wanted.
    func repeated(
        _ text: Repetition, attends: Bool, level: attention_level, threads: Int
    ) -> (largest: [Float], output: [Float]) {
        let count = heads * text.chunk.count
        nonisolated(unsafe) let largest = rows.zeros(threads * count, filledWith: -.infinity)
        let output = run(queries.count, ATTENTION_SUM, level, threads, repeating: (text, largest)) {
            attends ? attention_prompt_attend($0, $1, $2, $3) : attention_prompt_largest($0, $2, $3)
        }
        return ((0..<count).map { row in exp((0..<threads).map { largest[$0 * count + row] }.max()!) }, output)
    }

    private func run(
        _ count: Int, _ reduction: attention_reduction, _ level: attention_level, _ threads: Int,
        repeating: (text: Repetition, largest: UnsafeMutablePointer<Float>)? = nil,
        normalizers: UnsafeMutablePointer<Float>? = nil,
        _ function: @Sendable (UnsafePointer<attention_prompt>, UnsafeMutablePointer<Float>, Int32, Int32) -> Void
    ) -> [Float] {
        let s = prompt.rows
        let floats = attention_prompt_workspace(Int32(dimension), Int32(group), Int32(repeating?.text.chunk.count ?? 0))
        let stride = (floats + 15) / 16 * 16
        let workspace = rows.zeros(threads * stride, filledWith: .nan)
        let firsts = rows.place(all: first.isEmpty ? [0] : first)
        var call = attention_prompt()
        (call.key_type, call.value_type, call.level) = (s.keyType, s.valueType, level)
        (call.dimension, call.heads, call.group) = (Int32(dimension), Int32(heads), Int32(group))
        (call.queries, call.rows, call.seen) = (Int32(prompt.queries), Int32(s.slots), Int32(prompt.seen))
        call.scale = rows.cache.scale
        (call.keys, call.values) = (UnsafeRawPointer(rows.keys), UnsafeRawPointer(rows.values))
        call.key_stride = s.slots * attention_row_bytes(s.keyType, Int32(dimension))
        call.value_stride = s.slots * attention_row_bytes(s.valueType, Int32(dimension))
        call.query = UnsafePointer(rows.place(all: queries))
        call.query_stride = heads * group * dimension
        call.first = first.isEmpty ? nil : UnsafePointer(firsts)
        call.sinks = sinks.isEmpty ? nil : UnsafePointer(rows.place(all: sinks))
        call.first_heads = Int32(max(1, prompt.windows.count))
        if let (text, largest) = repeating {
            call.chunk = .init(begin: Int32(text.chunk.lowerBound), end: Int32(text.chunk.upperBound))
            call.front = .init(begin: Int32(text.front.lowerBound), end: Int32(text.front.upperBound))
            (call.own, call.largest) = (Int32(text.own), largest)
        }
        (call.reduction, call.factors) = (reduction, UnsafePointer(rows.place(all: factors)))
        (call.workspace, call.workspace_stride, call.normalizers) = (workspace, stride, normalizers)
        nonisolated(unsafe) let (shared, result) = (rows.place(call), rows.zeros(count, filledWith: .nan))
        DispatchQueue.concurrentPerform(iterations: threads) { function(shared, result, Int32($0), Int32(threads)) }
        return (0..<count).map { result[$0] }
    }

    /// The largest weight of each row of a chunk, in double precision.
    func reference(chunk: Range<Int>, front: Range<Int>, own: Int) -> [Double] {
        (0..<heads).flatMap { head in
            let keys = (0..<prompt.rows.slots).map {
                row(prompt.rows.keyType, rows.keys, head * prompt.rows.slots + $0, dimension: dimension)
            }
            var largest = [Double](repeating: 0, count: chunk.count)
            for token in 0..<prompt.queries {
                let seen = Array(chunk) + Array(front) + Array(own..<prompt.seen + token)
                for member in 0..<group {
                    let given = weights(of: seen.map { keys[$0] }, token: token, head: head, member: member)
                    for index in largest.indices { largest[index] = max(largest[index], given[index]) }
                }
            }
            return largest
        }
    }

    /// The weights that a query gives to keys.
    private func weights(of keys: [[Double]], token: Int, head: Int, member: Int) -> [Double] {
        let start = ((token * heads + head) * group + member) * dimension
        let query = queries[start..<start + dimension].map(Double.init)
        return softmax(
            keys.map { zip(query, $0).reduce(0) { $0 + $1.0 * $1.1 } * Double(rows.cache.scale) },
            sink: sinks.isEmpty ? -.infinity : Double(sinks[head * group + member]))
    }

    /// Attended values and what rows received, in double precision.
    func reference(reduction: attention_reduction = ATTENTION_SUM) -> (output: [Double], received: [Double]) {
        let s = prompt.rows
        let count = heads * s.slots
        let keys = (0..<count).map { row(s.keyType, rows.keys, $0, dimension: dimension) }
        let values = (0..<count).map { row(s.valueType, rows.values, $0, dimension: dimension) }
        var output: [Double] = []
        var received = [Double](repeating: 0, count: count)
        for token in 0..<prompt.queries {
            for head in 0..<heads {
                let begin =
                    first.isEmpty ? 0 : Int(first[(prompt.windows.count > 1 ? head * prompt.queries : 0) + token])
                let sight = head * s.slots + begin..<head * s.slots + prompt.seen + token
                var reduced = [Double](repeating: 0, count: sight.count)
                for member in 0..<group {
                    let weights = weights(of: sight.map { keys[$0] }, token: token, head: head, member: member)
                    var sum = [Double](repeating: 0, count: dimension)
                    for (index, weight) in zip(sight, weights) {
                        for d in 0..<dimension { sum[d] += weight * values[index][d] }
                    }
                    output += sum
                    for index in reduced.indices {
                        reduced[index] =
                            reduction == ATTENTION_MAX
                            ? max(reduced[index], weights[index]) : reduced[index] + weights[index]
                    }
                }
                for (index, value) in zip(sight, reduced) { received[index] += value * Double(factors[token]) }
            }
        }
        return (output, received)
    }

    private func softmax(_ scores: [Double], sink: Double) -> [Double] {
        let highest = max(sink, scores.max()!)
        let exponentials = scores.map { exp($0 - highest) }
        let total = exponentials.reduce(0, +) + exp(sink - highest)
        return exponentials.map { $0 / total }
    }
}
