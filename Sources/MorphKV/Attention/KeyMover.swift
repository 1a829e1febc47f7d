internal import CAttention
internal import Ggml

/// Moves the keys of sequences that go on beyond their model's trained context; see ``PositionFloor``.
struct KeyMover {
    /// Rows that turn at a time.
    private static let batch = 256

    private let backend: Backend
    /// Shared with prompts, which never run at the same time.
    private let allocator: GraphAllocator
    private let scale: Float
    /// Of each layer; nil for layers that know no positions.
    private let frequencies: [RopeFrequencies?]
    private let rotations: KernelRotations

    init(_ model: Model, on backend: Backend, allocator: GraphAllocator) {
        self.backend = backend
        self.allocator = allocator
        scale = model.description.attentionScale
        let factors = model.weights.value.ropeFactors.values.first?.floats()
        frequencies = model.description.layers.map { layer in
            layer.rope.map { RopeFrequencies($0, factors: layer.usesRopeFactors ? factors : nil) }
        }
        rotations = KernelRotations()
    }

    /// Makes sure that the next tokens see nothing from farther away than the cache's limit.
    ///
    /// - Throws: `GgmlError` when memory is short or the device fails, which empties the cache if it happens half-way.
    func makeRoom(for tokens: Int, in cache: KVCache) throws {
        guard let floor = cache.floor, let raised = floor.raised(cache.frame.floor, before: cache.seen + tokens) else {
            return
        }
        try move(cache, to: cache.frame.raised(to: raised, limit: floor.limit))
    }

    /// Moves keys to where they are in another frame.
    ///
    /// - Throws: `GgmlError` when memory is short or the device fails, which empties the cache if it happens half-way.
    func move(_ cache: KVCache, to frame: RotaryFrame) throws {
        do {
            for (index, parts) in cache.parts.enumerated() {
                for part in parts { try move(part, index, of: cache, to: frame) }
            }
        } catch {
            cache.clear()
            throw error
        }
        cache.move(to: frame)
    }

    /// Turns queries for what a cache was restored with.
    func restoreTurns(of cache: KVCache) {
        for (parts, frequencies) in zip(cache.parts, frequencies) {
            for layer in parts {
                layer.places?.turn.write(frequencies!, by: cache.frame.floor + layer.origin - cache.frame.base)
            }
        }
    }

    private func move(_ layer: LayerCache, _ index: Int, of cache: KVCache, to frame: RotaryFrame) throws {
        let moves = layer.moveEntries(from: cache.frame, to: frame, seen: cache.seen)
        guard let frequencies = frequencies[index] else { return }
        let device = backend.at(index)
        layer.places?.turn.write(frequencies, by: frame.floor + layer.origin - frame.base)
        let kernel = layer.plan.isFused ? try rotations.rotation(index, frequencies) : nil
        let dimension = layer.plan.geometry.headDimension
        let turnRows = { (tensor: Tensor, rows: [attention_turn]) in
            guard let kernel else { return try turn(on: device, dimension, tensor, rows, by: frequencies) }
            let type = tensor.type == .f32 ? ATTENTION_F32 : layer.plan.keyType.kernelType
            kernel.turn(tensor, type, dimension: dimension, rows)
        }
        try turnRows(layer.keys, moves.rows)
        guard !moves.changed.isEmpty, let scores = layer.scores else { return }
        try scores.keysMoved(
            KeyMove(
                backend: device, allocator: allocator, scale: scale, keys: layer.keysInOneFrame, seen: cache.seen,
                shift: frame.base - cache.frame.base, turn: turnRows,
                recount: kernel.map { kernel in
                    { kernel.recount(layer, moves.changed, seen: cache.seen, phase: $0) }
                }))
    }

    /// Turns rows of a tensor that is made of rows of `dimension` numbers.
    private func turn(
        on backend: Backend, _ dimension: Int, _ tensor: Tensor, _ rows: [attention_turn],
        by frequencies: RopeFrequencies
    ) throws {
        // Most rows turn by the same few distances.
        var known: [Int32: (cosines: [Float], sines: [Float])] = [:]
        for distance in Set(rows.map(\.distance)) { known[distance] = frequencies.turn(by: Int(distance)) }
        for start in stride(from: 0, to: rows.count, by: Self.batch) {
            let part = rows[start..<min(start + Self.batch, rows.count)]
            let pairs = frequencies.radians.count
            let graph = try Graph(on: backend, capacity: 32, allocator: allocator)
            let indices = graph.input(.i32, [part.count], name: "rows")
            let cosines = graph.input(.f32, [pairs, part.count], name: "cosines")
            let sines = graph.input(.f32, [pairs, part.count], name: "sines")
            let all = graph.reshape(tensor, [dimension, tensor.count / dimension])
            let turned = graph.rotated(
                graph.rows(all, at: indices), frequencies.pairing, cosines: cosines, sines: sines)
            graph.schedule(graph.setRows(of: all, to: turned, at: indices))
            try graph.allocate()
            indices.write(part.map(\.row))
            let turns = part.map { known[$0.distance]! }
            cosines.write(turns.flatMap(\.cosines))
            sines.write(turns.flatMap(\.sines))
            try graph.compute()
        }
    }
}
