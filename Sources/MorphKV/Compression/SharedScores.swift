internal import Synchronization

/// By what the scores of a text were found.
enum ScoreOrigin: Sendable, Hashable {
    /// The model repeated the text; the request is nil if it is not known, or does not matter any more.
    case reconstruction(ReconstructionPrompt?)
    /// The model's calibration foresaw them.
    case calibration

    /// Whether scores of this origin are those that are wanted.
    func serves(_ wanted: ScoreOrigin) -> Bool {
        switch (self, wanted) {
        case (.calibration, .calibration): true
        case (.reconstruction(let own), .reconstruction(let other)): own == nil || own == other
        default: false
        }
    }

    /// The same with any request.
    var anyRequest: ScoreOrigin { self == .calibration ? .calibration : .reconstruction(nil) }
}

/// The scores of a text and where they come from.
struct KnownScores: Sendable {
    var origin: ScoreOrigin
    var scores: EntryScores
    /// What it took to find them besides reading the text.
    var seconds = 0.0

    /// The scores of the entries that stay.
    func keeping(_ kept: [[[Int]]?]) -> KnownScores {
        KnownScores(origin: origin.anyRequest, scores: scores.keeping(kept))
    }

    /// With entries that are not to be cut behind those that have scores.
    func extended(to cache: FrozenCache, by more: Int, system: Int) -> KnownScores {
        KnownScores(origin: origin.anyRequest, scores: scores.extended(to: cache, by: more, system: system))
    }
}

/// Scores that copies of a context share: at most one set of each origin.
final class SharedScores: Sendable {
    private let known: Mutex<[KnownScores]>

    init(_ known: [KnownScores] = []) { self.known = Mutex(known) }

    /// Everything that is known.
    var all: [KnownScores] { known.withLock { $0 } }

    /// Those of an origin.
    func known(_ wanted: ScoreOrigin) -> KnownScores? { all.first { $0.origin.serves(wanted) } }

    /// Puts scores in the place of others of that origin, whatever the request was.
    func set(_ scores: KnownScores) {
        known.withLock { known in
            known.removeAll { $0.origin.anyRequest == scores.origin.anyRequest }
            known.append(scores)
        }
    }
}

extension EntryScores {
    fileprivate func extended(to cache: FrozenCache, by more: Int, system: Int) -> EntryScores {
        var result = self
        result.tokens += more
        for (layer, heads) in values.enumerated() {
            guard let heads else { continue }
            result.values[layer] = heads.enumerated().map { head, scores in
                let before = cache.layers[layer].headPositions[head].prefix { $0 < system }.count
                let count = cache.layers[layer].layout.counts[head] - before
                return scores + Array(repeating: .infinity, count: max(0, count - scores.count))
            }
        }
        return result
    }
}
