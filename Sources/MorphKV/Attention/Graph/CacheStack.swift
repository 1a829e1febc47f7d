internal import Ggml

/// The memory of sequences whose caches have equal shapes: every tensor of a layer lies behind that of the sequence before,
/// so that the first n sequences are one tensor, and one product serves all of them.
///
/// Sequences that are fed together stand in the first places. Who joins or leaves changes places with another; then the graph
/// of another number of sequences runs, which was described when it was first needed.
final class CacheStack {
    /// What caches must have in common.
    struct Kind: Hashable {
        private let plans: [LayerPlan]
        private let slots: [Int]
        /// What they go on from, the same for all.
        private let frozen: [ObjectIdentifier?]

        /// Nil for caches that are fed alone: heads of different lengths, a context in blocks of few bits, blocks without
        /// attention.
        init?(_ cache: KVCache) {
            guard !cache.hasParts, cache.recurrent == nil else { return nil }
            guard cache.layers.allSatisfy({ $0.frozen == nil || CacheType.ofGraphs.contains($0.plan.valueType) })
            else { return nil }
            plans = cache.layers.map(\.plan)
            slots = cache.layers.map(\.slots)
            frozen = cache.layers.map { $0.frozen.map(ObjectIdentifier.init) }
        }
    }

    private struct Place {
        weak var cache: KVCache?
    }

    let kind: Kind
    private let memory: [LayerCache]
    private var places: [Place]
    private let scale: Float

    /// - Throws: `GgmlError` of kind `memory`.
    init(_ kind: Kind, like cache: KVCache, places count: Int, scale: Float, on backend: Backend) throws {
        self.kind = kind
        self.scale = scale
        memory = try cache.layers.enumerated().map {
            let layer = try LayerCache($1.plan, slots: $1.slots, scale: scale, sequences: count)
            try layer.allocate(on: backend.at($0))
            return layer
        }
        places = Array(repeating: Place(), count: count)
    }

    var count: Int { places.count }

    /// Bytes of places that no sequence has; those of the others are counted with their caches.
    var freeBytes: Int {
        let all = memory.reduce(0) { $0 + $1.allocatedBytes }
        return all / count * occupants.count { $0 == nil }
    }

    /// Who is where.
    var occupants: [KVCache?] { places.indices.map(occupant) }

    /// Whether the sequence's memory is here.
    func holds(_ cache: KVCache) -> Bool { place(of: cache) != nil }

    /// The first sequences as one; bound to the memory of the places.
    func layers(_ sequences: Int) throws -> [LayerCache] {
        try zip(memory, 0...).map { whole, index in
            let plan = places[0].cache!.layers[index].plan
            let layer = try LayerCache(plan, slots: whole.slots, scale: scale, sequences: sequences)
            layer.arena.share(whole.arena)
            return layer
        }
    }

    /// Brings sequences to the first places, in any order.
    ///
    /// - Parameter caches: at most ``count``, of this kind.
    /// - Returns: for each place the index of its sequence.
    func gather(_ caches: [KVCache]) -> [Int] {
        let wanted = Set(caches.map(ObjectIdentifier.init))
        var outside = caches.filter { place(of: $0).map { $0 >= caches.count } ?? true }
        for index in caches.indices {
            let present = occupant(index)
            if let present, wanted.contains(ObjectIdentifier(present)) { continue }
            let next = outside.removeLast()
            let from = place(of: next)
            if let present {
                for (a, b) in zip(next.layers, present.layers) { a.arena.exchange(with: b.arena) }
            } else {
                for (layer, whole) in zip(next.layers, memory) { layer.arena.move(into: whole.arena, part: index) }
            }
            if let from { places[from].cache = present }
            places[index].cache = next
        }
        return caches.indices.map { place in caches.firstIndex { $0 === places[place].cache }! }
    }

    /// Gives every sequence memory of its own again.
    ///
    /// - Throws: `GgmlError` of kind `memory`; those that have not moved stay.
    func dissolve(on backend: Backend) throws {
        for index in places.indices {
            for layer in remains(index) { try layer.arena.moveHome(on: backend.at(layer.plan.geometry.layer)) }
        }
    }

    /// Whether some layers of a sequence are here whose other layers grew, and so have memory of their own.
    var isTorn: Bool { places.indices.contains { occupant($0) == nil && !remains($0).isEmpty } }

    /// The layers that lie in a place.
    private func remains(_ index: Int) -> [LayerCache] {
        guard let cache = places[index].cache else { return [] }
        return zip(cache.layers, memory).filter { $0.arena.lies(in: $1.arena, part: index) }.map(\.0)
    }

    private func place(of cache: KVCache) -> Int? { places.indices.first { occupant($0) === cache } }

    /// A layer that grew has memory of its own, and then its sequence is no longer here.
    private func occupant(_ index: Int) -> KVCache? {
        guard let cache = places[index].cache else { return nil }
        return remains(index).count == memory.count ? cache : nil
    }
}
