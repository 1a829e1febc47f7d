internal import Foundation

/// Closed-form ridge regressions of a layer's targets on its inputs, one for each KV head and age.
///
/// Inputs are standardised over the tokens that count for the age; the intercept is not penalised.
struct RidgeRegression {
    /// What is added to the diagonal of the standardised inputs' sums of products.
    let penalty: Double
    /// Which ages have a map of their own; the others take that of the age before.
    let isLearned: [Bool]
    let threads: Int

    /// Maps of a layer, and how well they fit.
    struct Fit {
        /// `[kvHead * ages + age][width]`, flat.
        var weights: [Float]
        /// `[kvHead * ages + age]`
        var biases: [Float]
        /// The share of the targets' variance that is explained; nil where the map of another age was taken.
        var explained: [Float?]
    }

    /// - Throws: ``CacheError`` of kind `calibration` if a number is not finite.
    func fit(_ sums: RegressionSums) throws -> Fit {
        let (width, ages) = (sums.width, sums.ages.count)
        var fit = Fit(
            weights: Array(repeating: 0, count: sums.rows * width), biases: Array(repeating: 0, count: sums.rows),
            explained: Array(repeating: nil, count: sums.rows))
        // From the last age, for which the fewest tokens count, to the first.
        for (index, age) in (0..<ages).reversed().enumerated() {
            if index > 0 { sums.groups[index].add(sums.groups[index - 1]) }
            guard isLearned[age] else { continue }
            try solve(sums, sums.groups[index], age: age, into: &fit)
        }
        for row in 0..<sums.rows where row % ages > 0 && fit.explained[row] == nil {
            fit.weights.replaceSubrange(
                row * width..<(row + 1) * width, with: fit.weights[(row - 1) * width..<row * width])
            fit.biases[row] = fit.biases[row - 1]
        }
        guard fit.weights.allSatisfy(\.isFinite), fit.biases.allSatisfy(\.isFinite) else {
            throw CacheError(.calibration, "a regression gave numbers that are not finite; is the model damaged?")
        }
        return fit
    }

    private func solve(_ sums: RegressionSums, _ group: RegressionSums.Group, age: Int, into fit: inout Fit) throws {
        let (width, count) = (sums.width, Double(max(1, group.count)))
        let means = group.inputs.map { $0 / count }
        let inverses = inverseDeviations(sums, group, means, count)
        let system = SymmetricSystem(size: width, threads: threads)
        standardise(group, means, inverses, count, into: system)
        guard system.factor() else {
            throw CacheError(.calibration, "a regression has no solution; is the model damaged?")
        }
        for row in stride(from: age, to: sums.rows, by: sums.ages.count) {
            let sum = sums.targets[row]
            let right = (0..<width).map { inverses[$0] * (sums.products[row * width + $0] - means[$0] * sum) }
            var solution = right
            solution.withUnsafeMutableBufferPointer { system.solve($0.baseAddress!) }
            let explained = zip(solution, right).reduce(0) { $0 + $1.0 * ($1.1 + penalty * $1.0) }
            var bias = sum / count
            for column in 0..<width {
                let weight = solution[column] * inverses[column]
                fit.weights[row * width + column] = Float(weight)
                bias -= weight * (means[column] + Double(sums.offset[column]))
            }
            fit.biases[row] = Float(bias)
            let total = sums.targetSquares[row] - sum * sum / count
            // 2 w'c - w'Gw, where (G + penalty) w = c.
            fit.explained[row] = total > 0 ? Float(explained / total) : 1
        }
    }

    /// One over the standard deviation of each column.
    private func inverseDeviations(
        _ sums: RegressionSums, _ group: RegressionSums.Group, _ means: [Double], _ count: Double
    ) -> [Double] {
        let squares = means.indices.map { column in
            (group.squares[column * means.count + column] / count, pow(Double(sums.offset[column]) + means[column], 2))
        }
        // What a vector's length rounds to.
        let typical = squares.reduce(0) { $0 + $1.0 + $1.1 } / Double(means.count)
        return zip(squares, means).map { squares, mean in
            let variance = squares.0 - mean * mean
            // A column that is constant up to rounding says nothing.
            guard variance > 1e-12 * max(typical, squares.0 + squares.1) else { return 0 }
            return 1 / (variance * count / (count - 1)).squareRoot()
        }
    }

    /// The products of the standardised inputs, with the penalty.
    private func standardise(
        _ group: RegressionSums.Group, _ means: [Double], _ inverses: [Double], _ count: Double,
        into system: SymmetricSystem
    ) {
        let width = means.count
        group.squares.withUnsafeBufferPointer { squares in
            means.withUnsafeBufferPointer { means in
                inverses.withUnsafeBufferPointer { inverses in
                    Parallel.run(width, threads: threads) { row in
                        let target = system.matrix + row * width
                        for column in 0...row {
                            let centred = squares[row * width + column] - count * means[row] * means[column]
                            target[column] = centred * inverses[row] * inverses[column]
                        }
                        target[row] += penalty
                    }
                }
            }
        }
    }
}
