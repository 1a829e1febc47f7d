/// Python's `difflib.SequenceMatcher` over code points, without a junk function and with its "autojunk" rule: code
/// points that make up more than one hundredth of a second text of 200 or more do not start a match.
///
/// The rule and the order in which equally long matches are preferred (first in `a`, then in `b`) follow the
/// documentation of `difflib`; they decide the ratio as much as the texts do.
struct SequenceMatcher {
    private let a: [Int32]
    private let b: [Int32]
    /// Where each element of `b` occurs, ascending; popular elements occur nowhere.
    private let occurrences: [[Int32]]

    init(_ a: [UInt32], _ b: [UInt32]) {
        var numbers: [UInt32: Int32] = [:]
        self.b = b.map { element in
            let next = Int32(numbers.count)
            return numbers.updateIfAbsent(element, next)
        }
        self.a = a.map { numbers[$0] ?? -1 }
        var occurrences = [[Int32]](repeating: [], count: numbers.count)
        for (index, element) in self.b.enumerated() { occurrences[Int(element)].append(Int32(index)) }
        if b.count >= 200 {
            let limit = b.count / 100 + 1
            for element in occurrences.indices where occurrences[element].count > limit {
                occurrences[element] = []
            }
        }
        self.occurrences = occurrences
    }

    /// Twice the number of matched elements over the number of all, from 0 to 1.
    func ratio() -> Double {
        let length = a.count + b.count
        return length == 0 ? 1 : 2 * Double(matchCount()) / Double(length)
    }

    /// The matched elements: those of the longest match, and of the longest ones to its left and right, and so on.
    private func matchCount() -> Int {
        var state = RowState(width: b.count)
        var pending = [Region(a: 0..<a.count, b: 0..<b.count)]
        var count = 0
        while let region = pending.popLast() {
            let match = longestMatch(in: region, &state)
            guard match.size > 0 else { continue }
            count += match.size
            let before = Region(a: region.a.lowerBound..<match.a, b: region.b.lowerBound..<match.b)
            let after = Region(
                a: match.a + match.size..<region.a.upperBound, b: match.b + match.size..<region.b.upperBound)
            if !before.isEmpty { pending.append(before) }
            if !after.isEmpty { pending.append(after) }
        }
        return count
    }

    private func longestMatch(in region: Region, _ state: inout RowState) -> Match {
        var best = Match(a: region.a.lowerBound, b: region.b.lowerBound, size: 0)
        state.begin()
        for i in region.a {
            state.nextRow()
            guard a[i] >= 0 else { continue }
            let indices = occurrences[Int(a[i])]
            var position = indices.firstIndex(notBelow: Int32(region.b.lowerBound))
            while position < indices.count, indices[position] < region.b.upperBound {
                let j = Int(indices[position])
                let size = state.extend(at: j)
                if size > best.size { best = Match(a: i - size + 1, b: j - size + 1, size: size) }
                position += 1
            }
        }
        return extended(best, in: region)
    }

    /// A match may not start at a popular element, but it grows over them.
    private func extended(_ match: Match, in region: Region) -> Match {
        var match = match
        while match.a > region.a.lowerBound, match.b > region.b.lowerBound, a[match.a - 1] == b[match.b - 1] {
            match = Match(a: match.a - 1, b: match.b - 1, size: match.size + 1)
        }
        while match.a + match.size < region.a.upperBound, match.b + match.size < region.b.upperBound,
            a[match.a + match.size] == b[match.b + match.size]
        {
            match.size += 1
        }
        return match
    }
}

private struct Match {
    var a: Int
    var b: Int
    var size: Int
}

private struct Region {
    var a: Range<Int>
    var b: Range<Int>
    var isEmpty: Bool { a.isEmpty || b.isEmpty }
}

/// For each `j`, the length of the match that ends there, for the current row and the one before. Entries carry the
/// number of their row, so that starting a row costs nothing.
private struct RowState {
    private var lengths: [[Int32]]
    private var rows: [[Int]]
    private var row = 1

    init(width: Int) {
        lengths = [[Int32]](repeating: [Int32](repeating: 0, count: width), count: 2)
        rows = [[Int]](repeating: [Int](repeating: 0, count: width), count: 2)
    }

    /// Forgets every row.
    mutating func begin() { row += 1 }

    mutating func nextRow() { row += 1 }

    /// Records that the row matches at `j` and returns the length of the match that ends there.
    mutating func extend(at j: Int) -> Int {
        let current = row & 1
        let previous = current ^ 1
        let before = j > 0 && rows[previous][j - 1] == row - 1 ? lengths[previous][j - 1] : 0
        rows[current][j] = row
        lengths[current][j] = before + 1
        return Int(before) + 1
    }
}

extension Dictionary {
    /// The value of `key`, which becomes `value` if there was none.
    fileprivate mutating func updateIfAbsent(_ key: Key, _ value: Value) -> Value {
        if let existing = self[key] { return existing }
        self[key] = value
        return value
    }
}

extension [Int32] {
    /// The first position whose element is at least `bound`, by binary search.
    fileprivate func firstIndex(notBelow bound: Int32) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
