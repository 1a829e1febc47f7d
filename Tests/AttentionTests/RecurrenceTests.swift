import CAttention
import Foundation
import TestSupport
import Testing

/// What recurrent blocks do to states against double precision, for every instruction set and number of threads.
@Suite struct RecurrenceTests {
    /// Sequences of a batch: how many tokens of each, and in which column they begin.
    static let runs = [(tokens: 1, column: 0), (tokens: 5, column: 1), (tokens: 3, column: 7)]
    static let columns = 11

    @Test("convolves what came before and the new inputs", arguments: [2, 3, 4, 9], [1, 6, 37, 150])
    func convolves(taps: Int, channels: Int) {
        var random = SeededNumbers(UInt64(taps * 100 + channels))
        let (input, weights) = (random.floats(Self.columns * channels), random.floats(channels * taps))
        let states = Self.runs.map { _ in random.floats((taps - 1) * channels) }
        for threads in [1, 3] {
            var output = [Float](repeating: .nan, count: input.count)
            let after = Self.compute(states, memories: [], ATTENTION_PLAIN, threads) { batch, thread in
                recurrent_convolution.call(batch, input, weights, &output, channels, taps, thread, threads)
            }.inputs
            for (index, run) in Self.runs.enumerated() {
                let new = input[run.column * channels..<(run.column + run.tokens) * channels]
                let all = states[index] + new
                #expect(after[index] == Array(all.suffix((taps - 1) * channels)))
                for token in 0..<run.tokens {
                    for channel in 0..<channels {
                        let sum = (0..<taps).reduce(0.0) {
                            $0 + Double(all[(token + $1) * channels + channel]) * Double(weights[channel * taps + $1])
                        }
                        #expect(abs(Double(output[(run.column + token) * channels + channel]) - sum) < 1e-5)
                    }
                }
            }
        }
    }

    @Test("learns and answers by the delta rule", arguments: [(8, 2, 2), (20, 4, 2), (32, 3, 1), (128, 2, 2)])
    func learns(size: Int, heads: Int, keyHeads: Int) {
        checkLearning(.deltaRule, size: size, heads: heads, keyHeads: keyHeads)
    }

    @Test("learns and answers as a state space", arguments: [(8, 2, 2), (22, 4, 2), (32, 3, 1), (128, 4, 2)])
    func remembers(size: Int, heads: Int, keyHeads: Int) {
        checkLearning(.stateSpace, size: size, heads: heads, keyHeads: keyHeads)
    }

    private func checkLearning(_ rule: DeltaData.Rule, size: Int, heads: Int, keyHeads: Int) {
        var random = SeededNumbers(UInt64(size))
        let data = DeltaData(rule, size: size, heads: heads, keyHeads: keyHeads, columns: Self.columns, &random)
        let memories = Self.runs.map { _ in random.floats(heads * size * size) }
        let expected = zip(Self.runs, memories).map { data.reference(tokens: $0.tokens, from: $0.column, $1) }
        for level in levels {
            for threads in [1, 3, 40] {
                var output = [Float](repeating: .nan, count: Self.columns * heads * size)
                let after = Self.compute(Self.runs.map { _ in [] }, memories: memories, level, threads) {
                    batch, thread in data.call(batch, &output, thread, threads)
                }.memories
                for (index, run) in Self.runs.enumerated() {
                    let first = run.column * heads * size
                    let answers = output[first..<first + run.tokens * heads * size]
                    #expect(zip(answers, expected[index].output).allSatisfy { abs(Double($0) - $1) < 1e-4 })
                    #expect(zip(after[index], expected[index].memory).allSatisfy { abs(Double($0) - $1) < 1e-4 })
                }
            }
        }
    }

    /// Lets threads compute one after the other, which share nothing but what they read, and returns the states.
    private static func compute(
        _ inputs: [[Float]], memories: [[Float]], _ level: attention_level, _ threads: Int,
        _ body: (UnsafePointer<recurrent_batch>, Int32) -> Void
    ) -> (inputs: [[Float]], memories: [[Float]]) {
        func place(_ values: [Float]) -> UnsafeMutableBufferPointer<Float> {
            let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, values.count))
            _ = memory.initialize(from: values.isEmpty ? [0] : values)
            return memory
        }
        let (states, matrices) = (inputs.map(place), memories.map(place))
        defer { for memory in states + matrices { memory.deallocate() } }
        let described = runs.enumerated().map { index, run in
            recurrent_run(
                inputs: states[index].baseAddress, memory: memories.isEmpty ? nil : matrices[index].baseAddress,
                column: Int32(run.column), columns: Int32(run.tokens))
        }
        described.withUnsafeBufferPointer { runs in
            var batch = recurrent_batch(runs: runs.baseAddress, run_count: Int32(runs.count), level: level)
            for thread in 0..<threads { body(&batch, Int32(thread)) }
        }
        return (zip(states, inputs).map { Array($0.prefix($1.count)) }, matrices.map(Array.init))
    }
}

extension recurrent_convolution {
    fileprivate static func call(
        _ batch: UnsafePointer<recurrent_batch>, _ input: [Float], _ weights: [Float], _ output: inout [Float],
        _ channels: Int, _ taps: Int, _ thread: Int32, _ threads: Int
    ) {
        input.withUnsafeBufferPointer { input in
            weights.withUnsafeBufferPointer { weights in
                output.withUnsafeMutableBufferPointer { output in
                    var work = recurrent_convolution(
                        input: input.baseAddress, weights: weights.baseAddress, output: output.baseAddress,
                        channels: Int32(channels), taps: Int32(taps))
                    recurrent_convolve(batch, &work, thread, Int32(threads))
                }
            }
        }
    }
}

/// What the delta rule, or a state space, reads of some columns.
private struct DeltaData {
    enum Rule { case deltaRule, stateSpace }

    let rule: Rule
    let size: Int
    let heads: Int
    let keyHeads: Int
    let queries: [Float]
    let keys: [Float]
    let values: [Float]
    /// Values lie farther apart than they are long.
    let stride: Int
    let decays: [Float]
    let rates: [Float]
    /// Of a state space only.
    let passing: [Float]

    init(_ rule: Rule, size: Int, heads: Int, keyHeads: Int, columns: Int, _ random: inout SeededNumbers) {
        (self.rule, self.size, self.heads, self.keyHeads) = (rule, size, heads, keyHeads)
        stride = heads * size + 5
        let short = 1 / Float(size).squareRoot()
        queries = random.floats(columns * keyHeads * size).map { $0 * short }
        keys = random.floats(columns * keyHeads * size).map { $0 * short }
        values = random.floats(columns * stride)
        decays = random.floats(columns * heads).map { 0.5 + abs($0) / 4 }
        rates = random.floats(columns * heads).map { abs($0) / 2 }
        passing = random.floats(heads)
    }

    func call(
        _ batch: UnsafePointer<recurrent_batch>, _ output: inout [Float], _ thread: Int32, _ threads: Int
    ) {
        output.withUnsafeMutableBufferPointer { output in
            passing.withUnsafeBufferPointer { passing in
                withUnsafe { work in
                    var work = work
                    work.output = output.baseAddress
                    if rule == .stateSpace {
                        (work.corrects, work.groups_heads, work.passing) = (false, true, passing.baseAddress)
                    }
                    recurrent_learn(batch, &work, thread, Int32(threads))
                }
            }
        }
    }

    private func withUnsafe(_ body: (recurrent_delta) -> Void) {
        queries.withUnsafeBufferPointer { queries in
            keys.withUnsafeBufferPointer { keys in
                values.withUnsafeBufferPointer { values in
                    decays.withUnsafeBufferPointer { decays in
                        rates.withUnsafeBufferPointer { rates in
                            body(
                                recurrent_delta(
                                    query: queries.baseAddress, key: keys.baseAddress, value: values.baseAddress,
                                    value_stride: stride, decay: decays.baseAddress, rate: rates.baseAddress,
                                    passing: nil, output: nil, heads: Int32(heads), key_heads: Int32(keyHeads),
                                    size: Int32(size),
                                    key_size: Int32(size), corrects: true, groups_heads: false))
                        }
                    }
                }
            }
        }
    }

    /// The answers and the memory, in double precision.
    func reference(tokens: Int, from column: Int, _ memory: [Float]) -> (output: [Double], memory: [Double]) {
        var memory = memory.map(Double.init)
        var output: [Double] = []
        for token in column..<column + tokens {
            for head in 0..<heads {
                let keyHead = rule == .stateSpace ? head / (heads / keyHeads) : head % keyHeads
                let at = (token * keyHeads + keyHead) * size
                for row in 0..<size {
                    let cells = (head * size + row) * size..<(head * size + row + 1) * size
                    for cell in cells { memory[cell] *= Double(decays[token * heads + head]) }
                    let value = Double(values[token * stride + head * size + row])
                    let known = zip(memory[cells], keys[at..<at + size]).reduce(0) { $0 + $1.0 * Double($1.1) }
                    let difference = rule == .stateSpace ? value : value - known
                    let learned = difference * Double(rates[token * heads + head])
                    for (index, cell) in cells.enumerated() { memory[cell] += Double(keys[at + index]) * learned }
                    let answer = zip(memory[cells], queries[at..<at + size]).reduce(0) { $0 + $1.0 * Double($1.1) }
                    let passed = rule == .stateSpace ? value * Double(passing[head]) : 0
                    output.append(passed + answer / (rule == .stateSpace ? 1 : Double(size).squareRoot()))
                }
            }
        }
        return (output, memory)
    }
}
