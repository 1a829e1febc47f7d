/// Pins in saved sessions: whether the cache is made for them, and the positions.
extension CacheFileWriter {
    /// Announces the pins of a sequence.
    func setPins(of cache: KVCache) {
        guard cache.options.pins else { return }
        set("pins.allowed", 1)
        set("pins.ranges", cache.pins.ranges.flatMap { [$0.lowerBound, $0.upperBound] })
    }
}

extension CacheFileReader {
    /// Whether the cache was made for pins; those of files of before were not.
    func allowsPins() throws -> Bool { try has("pins.allowed") && integer("pins.allowed", in: 0...1) == 1 }

    /// The pins of a sequence, for its cache.
    ///
    /// - Parameter seen: tokens that the sequence has.
    func restorePins(of cache: KVCache, seen: Int) throws {
        let bounds = try integers("pins.ranges", in: 0...seen)
        guard bounds.count % 2 == 0, zip(bounds, bounds.dropFirst()).allSatisfy(<) else {
            throw damaged("its pins are not ranges that ascend")
        }
        let ranges = stride(from: 0, to: bounds.count, by: 2).map { bounds[$0]..<bounds[$0 + 1] }
        do { try cache.pin(PinnedPositions(ranges)) } catch let error as CacheError {
            throw damaged(error.description)
        }
    }
}
