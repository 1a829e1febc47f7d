extension Graph {
    /// Turns pairs of elements at the beginning of each row: (x, y) becomes (x cos - y sin, x sin + y cos).
    ///
    /// - Parameters:
    ///   - rows: f32 `[n, count]`.
    ///   - cosines: f32 `[pairs, count]`; the pairs are the first 2 * pairs elements of a row.
    ///   - sines: f32 `[pairs, count]`.
    package func rotated(
        _ rows: Tensor, _ pairing: RopeParameters.Pairing, cosines: Tensor, sines: Tensor
    ) -> Tensor {
        let (pairs, count, size) = (cosines[0], rows[1], 4)
        func part(from first: Int, _ length: Int) -> Tensor {
            contiguous(view(rows, [length, count], strides: [rows.strides[1]], offset: first * size))
        }
        let (x, y): (Tensor, Tensor)
        switch pairing {
        case .halves: (x, y) = (part(from: 0, pairs), part(from: pairs, pairs))
        case .neighbours:
            func every(second first: Int) -> Tensor {
                let elements = view(
                    rows, [1, pairs, count], strides: [2 * size, rows.strides[1]], offset: first * size)
                return reshape(contiguous(elements), [pairs, count])
            }
            (x, y) = (every(second: 0), every(second: 1))
        }
        let turnedX = subtract(multiply(x, cosines), multiply(y, sines))
        let turnedY = add(multiply(x, sines), multiply(y, cosines))
        let turned: Tensor
        switch pairing {
        case .halves: turned = concat(turnedX, turnedY, along: 0)
        case .neighbours:
            let pairsOf = { self.reshape($0, [1, pairs, count]) }
            turned = reshape(concat(pairsOf(turnedX), pairsOf(turnedY), along: 0), [2 * pairs, count])
        }
        let rest = rows[0] - 2 * pairs
        return rest == 0 ? turned : concat(turned, part(from: 2 * pairs, rest), along: 0)
    }
}
