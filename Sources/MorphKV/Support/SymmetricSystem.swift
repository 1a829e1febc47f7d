internal import Dispatch

/// A symmetric positive definite system of linear equations in double precision, solved by Cholesky's decomposition in
/// blocks that fit the caches, the rows shared out among threads.
final class SymmetricSystem {
    private static let block = 64

    let size: Int
    private let threads: Int
    /// `[row][column]`; the lower triangle counts, and becomes the factor.
    let matrix: UnsafeMutablePointer<Double>

    init(size: Int, threads: Int) {
        self.size = size
        self.threads = threads
        matrix = .allocate(capacity: size * size)
        matrix.initialize(repeating: 0, count: size * size)
    }

    deinit { matrix.deallocate() }

    /// Bytes of a system.
    static func bytes(size: Int) -> Int { size * size * MemoryLayout<Double>.stride }

    private func row(_ index: Int) -> UnsafeMutablePointer<Double> { matrix + index * size }

    /// Decomposes the matrix in place.
    ///
    /// - Returns: whether it was positive definite, as far as rounding lets it be seen.
    func factor() -> Bool {
        for first in stride(from: 0, to: size, by: Self.block) {
            let end = min(first + Self.block, size)
            for index in first..<end {
                finish(index, from: first, to: index)
                let own = row(index)
                let rest = own[index] - Self.dot(own + first, own + first, index - first)
                guard rest.isFinite, rest > 0 else { return false }
                own[index] = rest.squareRoot()
            }
            // Rows below depend on the block only; the later ones are longer, so threads take turns.
            Parallel.run(size - end, threads: threads) { finish(end + $0, from: first, to: end) }
            Parallel.run((size - end + 3) / 4, threads: threads) { update(end + 4 * $0, from: first, to: end) }
        }
        return true
    }

    /// Turns elements `first..<end` of a row, which lie left of the diagonal, into the factor's.
    private func finish(_ index: Int, from first: Int, to end: Int) {
        let own = row(index)
        for column in first..<end {
            let other = row(column)
            own[column] = (own[column] - Self.dot(own + first, other + first, column - first)) / other[column]
        }
    }

    /// Subtracts what columns `first..<end` contribute from the rest of four rows.
    private func update(_ index: Int, from first: Int, to end: Int) {
        let rows = min(4, size - index)
        for column in stride(from: end, to: index + rows, by: 2) {
            let columns = min(2, index + rows - column)
            if rows == 4, columns == 2 {
                tile(index, column, from: first, count: end - first)
                continue
            }
            for i in index..<index + rows {
                for j in column..<column + columns {
                    row(i)[j] -= Self.dot(row(i) + first, row(j) + first, end - first)
                }
            }
        }
    }

    /// Four rows by two columns, which reads every number from memory once for several products.
    private func tile(_ index: Int, _ column: Int, from first: Int, count: Int) {
        typealias Pair = SIMD2<Double>
        let (a, b, c, d) = (row(index) + first, row(index + 1) + first, row(index + 2) + first, row(index + 3) + first)
        let (x, y) = (row(column) + first, row(column + 1) + first)
        var (ax, bx, cx, dx) = (Pair.zero, Pair.zero, Pair.zero, Pair.zero)
        var (ay, by, cy, dy) = (Pair.zero, Pair.zero, Pair.zero, Pair.zero)
        var k = 0
        while k + 1 < count {
            let (xk, yk) = (Pair(x[k], x[k + 1]), Pair(y[k], y[k + 1]))
            let (ak, bk) = (Pair(a[k], a[k + 1]), Pair(b[k], b[k + 1]))
            let (ck, dk) = (Pair(c[k], c[k + 1]), Pair(d[k], d[k + 1]))
            ax += ak * xk
            ay += ak * yk
            bx += bk * xk
            by += bk * yk
            cx += ck * xk
            cy += ck * yk
            dx += dk * xk
            dy += dk * yk
            k += 2
        }
        for (offset, sums) in [(ax, ay), (bx, by), (cx, cy), (dx, dy)].enumerated() {
            let target = row(index + offset)
            let left = k < count ? target[first + k] : 0
            target[column] -= sums.0.sum() + (k < count ? left * x[k] : 0)
            target[column + 1] -= sums.1.sum() + (k < count ? left * y[k] : 0)
        }
    }

    /// Solves for one right-hand side, which becomes the solution.
    func solve(_ side: UnsafeMutablePointer<Double>) {
        for index in 0..<size {
            side[index] = (side[index] - Self.dot(row(index), side, index)) / row(index)[index]
        }
        for index in (0..<size).reversed() {
            let own = row(index)
            side[index] /= own[index]
            let value = side[index]
            for column in 0..<index { side[column] -= value * own[column] }
        }
    }

    private static func dot(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ count: Int) -> Double {
        var (even, odd) = (0.0, 0.0)
        var k = 0
        while k + 1 < count {
            even += a[k] * b[k]
            odd += a[k + 1] * b[k + 1]
            k += 2
        }
        return even + odd + (k < count ? a[k] * b[k] : 0)
    }
}

/// Loops whose turns do not depend on each other.
enum Parallel {
    /// Does something for 0, 1, ... on that many threads, which take turns.
    static func run(_ count: Int, threads: Int, _ body: (Int) -> Void) {
        guard threads > 1, count > 1 else {
            for index in 0..<count { body(index) }
            return
        }
        withoutActuallyEscaping(body) { body in
            // Sound: the caller promises that turns do not depend on each other, and waits for all of them here.
            nonisolated(unsafe) let body = body
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                for index in stride(from: thread, to: count, by: threads) { body(index) }
            }
        }
    }
}
