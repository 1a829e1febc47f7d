internal import CAttention
internal import Ggml

/// Turns keys where the kernel finds them, in the host's memory, and lets it sum anew what depends on them.
final class KernelRotation {
    /// Sound: what `rotation` points to; written in `init` only.
    private let powers: UnsafeMutablePointer<Double>
    private var rotation: attention_rotation
    private let level: attention_level

    init(_ frequencies: RopeFrequencies, level: attention_level) {
        let (pairs, bits) = (frequencies.radians.count, Int(ATTENTION_TURN_BITS))
        powers = .allocate(capacity: 2 * pairs * bits)
        for bit in 0..<bits {
            let (cosines, sines) = frequencies.exactTurn(by: 1 << bit)
            (powers + 2 * pairs * bit).initialize(from: cosines + sines, count: 2 * pairs)
        }
        rotation = attention_rotation(
            pairs: Int32(pairs), turns_neighbours: frequencies.pairing == .neighbours, powers: UnsafePointer(powers))
        self.level = level
    }

    deinit { powers.deallocate() }

    /// Turns rows of a tensor in the host's memory that is made of rows of `dimension` numbers.
    func turn(_ tensor: Tensor, _ type: attention_type, dimension: Int, _ turns: [attention_turn]) {
        withRoom(dimension: dimension, group: 1, pairs: rotation.pairs) { room in
            attention_turn_rows(
                level, &rotation, type, Int32(dimension), tensor.hostAddress, turns, Int32(turns.count), room)
        }
    }

    /// Sums anew what the window's queries give the entries in some rows.
    ///
    /// - Parameters:
    ///   - rows: ascending by head.
    ///   - seen: tokens that the sequence has so far.
    ///   - phase: where the rule stands in its cycle.
    func recount(_ layer: LayerCache, _ rows: [attention_turn], seen: Int, phase: Int) {
        let (geometry, view) = (layer.plan.geometry, layer.kernelView!)
        withRoom(
            dimension: geometry.headDimension, group: geometry.groupSize,
            pairs: view.pointer(0).pointee.slots.turned_pairs
        ) { room in
            attention_recount(
                level, view.pointer(0), Int32(1 + geometry.readers), rows, Int32(rows.count), Int64(seen),
                Int32(phase), room)
        }
    }

    private func withRoom(dimension: Int, group: Int, pairs: Int32, _ body: (UnsafeMutablePointer<Float>) -> Void) {
        let floats = attention_turn_room(Int32(dimension), Int32(group), pairs)
        withUnsafeTemporaryAllocation(byteCount: 4 * floats, alignment: 64) {
            body($0.baseAddress!.assumingMemoryBound(to: Float.self))
        }
    }
}

/// The rotations of a model's layers, which mostly are the same; made when the first key is moved.
final class KernelRotations {
    private var known: [RopeFrequencies: KernelRotation] = [:]
    private var ofLayers: [Int: KernelRotation] = [:]

    /// - Throws: see ``KernelLevel/current()``.
    func rotation(_ layer: Int, _ frequencies: RopeFrequencies) throws -> KernelRotation {
        if let rotation = ofLayers[layer] { return rotation }
        let rotation = try known[frequencies] ?? KernelRotation(frequencies, level: KernelLevel.current())
        known[frequencies] = rotation
        ofLayers[layer] = rotation
        return rotation
    }
}
