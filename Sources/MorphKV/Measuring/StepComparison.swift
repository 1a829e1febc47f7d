/// The attention of one step in one KV head: what falls on some of its entries.
struct StepComparison {
    /// No attention at any distance.
    static let none = AttentionRecall.distances.map { _ in 0.0 }

    private let source: LayerReader.Weights
    private let head: Int
    private let group: Int
    private let window: Int?
    /// The weights of the entries up to the query, the group's query heads averaged.
    private var weights: [Float]
    /// Memory for choosing the largest.
    private var sorted: [Float] = []
    private var known: [Int: (best: [Double], random: [Double])] = [:]
    /// The token that attends.
    private(set) var query = 0
    /// Its attention by distance.
    private(set) var all = StepComparison.none

    init(_ source: LayerReader.Weights, head: Int, group: Int, window: Int?) {
        self.source = source
        self.head = head
        self.group = group
        self.window = window
        weights = []
        weights.reserveCapacity(source.visible)
    }

    /// Goes to a query.
    mutating func begin(_ query: Int) {
        self.query = query
        known.removeAll(keepingCapacity: true)
        weights.removeAll(keepingCapacity: true)
        weights.append(contentsOf: repeatElement(0, count: query + 1))
        for member in 0..<group {
            let row = (head * group + member) * source.queries.count + query - source.queries.lowerBound
            let values = source.values.baseAddress! + row * source.visible
            for entry in 0...query { weights[entry] += values[entry] }
        }
        for entry in 0...query { weights[entry] /= Float(group) }
        all = attention { _ in true }.sums
    }

    /// What falls on some of the entries, by distance, and how many they are.
    func attention(on isChosen: (Int) -> Bool) -> (count: Int, sums: [Double]) {
        var (count, sums) = (0, Self.none)
        forEachDistance { index, entries in
            var sum = 0.0
            for entry in entries where isChosen(entry) {
                count += 1
                sum += Double(weights[entry])
            }
            sums[index] = sum
        }
        return (count, sums)
    }

    /// What falls on so many entries at most: on those with the largest weights, and on such that are drawn by lot.
    mutating func bounds(entries count: Int) -> (best: [Double], random: [Double]) {
        if let known = known[count] { return known }
        let result = (largest(count), drawn(count))
        known[count] = result
        return result
    }

    /// The sums of the largest weights; of equal ones the latest.
    private mutating func largest(_ count: Int) -> [Double] {
        guard count <= query else { return all }
        sorted.removeAll(keepingCapacity: true)
        sorted.append(contentsOf: weights)
        let least = sorted.withUnsafeMutableBufferPointer { Self.largest(count, of: $0) }
        var equal = count
        for weight in weights where weight > least { equal -= 1 }
        var sums = Self.none
        forEachDistance { index, entries in
            var sum = 0.0
            for entry in entries.reversed() where weights[entry] >= least {
                if weights[entry] == least {
                    guard equal > 0 else { continue }
                    equal -= 1
                }
                sum += Double(weights[entry])
            }
            sums[index] = sum
        }
        return sums
    }

    /// What is to be expected of the token itself and the others drawn among those that are seen.
    private func drawn(_ count: Int) -> [Double] {
        let others = min(query, (window ?? .max) - 1)
        let share = others > 0 ? min(1, Double(count - 1) / Double(others)) : 0
        return all.enumerated().map { $0 == 0 ? $1 : $1 * share }
    }

    /// The entries of each range of distances, nearest first.
    private func forEachDistance(_ body: (_ index: Int, _ entries: Range<Int>) -> Void) {
        let starts = AttentionRecall.distances
        for (index, start) in starts.enumerated() where start <= query {
            let end = index + 1 < starts.count ? starts[index + 1] : .max
            body(index, max(0, query - min(end, query + 1) + 1)..<query - start + 1)
        }
    }

    /// The weight that is the `count`th largest, by Hoare's selection; the order changes.
    private static func largest(_ count: Int, of values: UnsafeMutableBufferPointer<Float>) -> Float {
        var (low, high) = (0, values.count - 1)
        while low < high {
            let pivot = values[(low + high) / 2]
            var (left, right) = (low, high)
            while left <= right {
                while values[left] > pivot { left += 1 }
                while values[right] < pivot { right -= 1 }
                if left <= right {
                    values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if count - 1 <= right {
                high = right
            } else if count - 1 >= left {
                low = left
            } else {
                break
            }
        }
        return values[count - 1]
    }
}
