import CAttention
import Foundation

/// Numbers of a stored row, read bit by bit.
func row(_ type: attention_type, _ memory: UnsafeMutableRawPointer, _ index: Int, dimension: Int)
    -> [Double]
{
    let start = memory + index * attention_row_bytes(type, Int32(dimension))
    return (0..<dimension).map { d in
        switch type {
        case ATTENTION_F32: return Double(start.loadUnaligned(fromByteOffset: 4 * d, as: Float.self))
        case ATTENTION_F16: return half(start.loadUnaligned(fromByteOffset: 2 * d, as: UInt16.self))
        case ATTENTION_BF16:
            let bits = UInt32(start.loadUnaligned(fromByteOffset: 2 * d, as: UInt16.self)) << 16
            return Double(Float(bitPattern: bits))
        case ATTENTION_Q8_0:
            let block = start + d / 32 * 34
            return half(block.loadUnaligned(as: UInt16.self))
                * Double(block.load(fromByteOffset: 2 + d % 32, as: Int8.self))
        default: return fewBits(type, start, d)
        }
    }
}

/// Number `d` of a row of four or five bits each.
private func fewBits(_ type: attention_type, _ row: UnsafeMutableRawPointer, _ d: Int) -> Double {
    let hasFifths = type == ATTENTION_Q5_0 || type == ATTENTION_Q5_1
    let hasLowest = type == ATTENTION_Q4_1 || type == ATTENTION_Q5_1
    let block = row + d / 32 * attention_row_bytes(type, 32)
    let (number, bits) = (d % 32, block + (hasLowest ? 4 : 2))
    let pair = bits.load(fromByteOffset: (hasFifths ? 4 : 0) + number % 16, as: UInt8.self)
    var code = Int(number < 16 ? pair & 15 : pair >> 4)
    if hasFifths { code += Int(bits.loadUnaligned(as: UInt32.self) >> number & 1) << 4 }
    let step = half(block.loadUnaligned(as: UInt16.self))
    return hasLowest
        ? half(block.loadUnaligned(fromByteOffset: 2, as: UInt16.self)) + step * Double(code)
        : step * Double(code - (hasFifths ? 16 : 8))
}

private func half(_ bits: UInt16) -> Double {
    let sign: Double = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 31)
    let fraction = Double(bits & 1023)
    if exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
    return exponent == 0
        ? sign * fraction * pow(2, -24) : sign * (1 + fraction / 1024) * pow(2, Double(exponent - 15))
}

/// A query as the kernel sees it, times `scale`: where keys are in blocks, each 32 numbers are rounded to the nearest of -127
/// to 127 times 1/127 of the largest.
func seenQuery(_ query: [Float], by type: attention_type, scale: Float) -> [Double] {
    var numbers = query.map { $0 * scale }
    guard type.isInBlocks else { return numbers.map(Double.init) }
    for begin in stride(from: 0, to: numbers.count, by: 32) {
        let step = numbers[begin..<begin + 32].map(\.magnitude).max()! / 127
        let inverse = step >= Float.leastNormalMagnitude ? 1 / step : 0
        for d in begin..<begin + 32 { numbers[d] = (numbers[d] * inverse).rounded(.toNearestOrEven) * step }
    }
    return numbers.map(Double.init)
}

extension attention_type {
    /// Whether numbers are whole ones of 32 with a scale.
    var isInBlocks: Bool { rawValue >= ATTENTION_Q8_0.rawValue }
}

extension KernelCase.Shape {
    /// How far attended values, of which none is above 1, may be from double precision.
    ///
    /// With VNNI the weights for 64 rows in blocks, times the rows' scales, are rounded to the nearest of 32,767 steps up to
    /// the largest of them. Each is wrong by half a step at most and meets a whole number that, times the largest scale, is at
    /// most 1, or 2 where it is counted from the lowest number; the largest weights of all 64 rows add up to 1 at most.
    func tolerance(_ level: attention_level) -> Double {
        guard level == ATTENTION_VNNI, valueType.isInBlocks else { return 2e-5 }
        let hasLowest = valueType == ATTENTION_Q4_1 || valueType == ATTENTION_Q5_1
        return 2e-5 + 64 * 0.5 / 32_767 * (hasLowest ? 2 : 1)
    }
}

/// Attention of one token over everything its heads hold, in double precision.
///
/// - Parameters:
///   - frozenQueries: what frozen entries see; the same if nil.
///   - rounds: whether queries are rounded where the kernel does it.
func referenceAttention(
    _ test: KernelCase, queries: [Float], frozenQueries: [Float]? = nil, used: Int, rounds: Bool = true
) -> [Double] {
    let s = test.shape
    var output: [Double] = []
    for queryHead in 0..<s.heads * s.group {
        let head = queryHead / s.group
        let part = queryHead * s.dimension..<(queryHead + 1) * s.dimension
        let seen = { (queries: [Float]) in
            seenQuery(Array(queries[part]), by: rounds ? s.keyType : ATTENTION_F32, scale: test.cache.scale)
        }
        let (query, frozenQuery) = (seen(queries), seen(frozenQueries ?? queries))
        let frozen =
            s.frozen.isEmpty
            ? 0..<0 : s.frozen.prefix(head).reduce(0, +)..<s.frozen.prefix(head + 1).reduce(0, +)
        let slots = head * s.slots..<head * s.slots + used
        let keys =
            frozen.map { row(s.keyType, test.frozenKeys, $0, dimension: s.dimension) }
            + slots.map { row(s.keyType, test.keys, $0, dimension: s.dimension) }
        let values =
            frozen.map { row(s.valueType, test.frozenValues, $0, dimension: s.dimension) }
            + slots.map { row(s.valueType, test.values, $0, dimension: s.dimension) }
        let scores = keys.enumerated().map { index, key in
            zip(key, index < frozen.count ? frozenQuery : query).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let sink = test.sinks.isEmpty ? -.infinity : Double(test.sinks[queryHead])
        let highest = max(sink, scores.max()!)
        let weights = scores.map { exp($0 - highest) }
        let total = weights.reduce(0, +) + exp(sink - highest)
        for d in 0..<s.dimension {
            output.append(zip(weights, values).reduce(0) { $0 + $1.0 * $1.1[d] } / total)
        }
    }
    return output
}
