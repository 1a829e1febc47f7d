extension RandomAccessCollection {
    /// The first index whose element satisfies the predicate, where all that do come last.
    func partitioningIndex(where isIn: (Element) -> Bool) -> Index {
        var low = startIndex
        var count = self.count
        while count > 0 {
            let half = count / 2
            let middle = index(low, offsetBy: half)
            if isIn(self[middle]) {
                count = half
            } else {
                low = index(after: middle)
                count -= half + 1
            }
        }
        return low
    }
}
