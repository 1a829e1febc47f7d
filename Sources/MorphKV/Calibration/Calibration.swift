package import Ggml
internal import Synchronization

/// What was learned about a model once: how much each entry of its cache will be needed at several ages.
///
/// For each layer, KV head and age it has a linear map from what the entry's key and value are computed from, the layer's
/// normed input, to the largest attention weight that the entry is expected to receive from then on; and how many
/// entries exceed a threshold at a time, from which ``SlotBudgets`` are solved. `morphkv calibrate` makes it; docs/augur.md
/// has the formulas.
public final class Calibration: Sendable {
    /// What it was learned from.
    public struct Provenance: Sendable, Hashable {
        /// The kind of texts, for a person.
        public var source: String
        /// Texts that were read.
        public var texts: Int
        /// Tokens of all texts.
        public var tokens: Int
        /// Tokens of the longest text: scores at greater ages than that are a guess.
        public var longest: Int

        /// States what a calibration was learned from.
        public init(source: String, texts: Int, tokens: Int, longest: Int) {
            self.source = source
            self.texts = texts
            self.tokens = tokens
            self.longest = longest
        }
    }

    /// The fingerprint of the model it belongs to; see ``Model/fingerprint``.
    public let model: String
    /// The ages, in tokens, from which on each score holds; ascending.
    public let ages: [Int]
    /// What it was learned from.
    public let provenance: Provenance

    /// Windows for which entries were counted, ascending.
    package let windows: [Int]
    /// Thresholds above which entries were counted, ascending.
    package let thresholds: [Float]
    let layerCount: Int
    let kvHeads: Int
    /// Length of the layers' input.
    let width: Int
    /// Per layer `[kvHeads * ages]`.
    package let biases: [[Float]]
    /// The mean number of entries older than a window whose score exceeds a threshold: `[window][threshold][layer][kvHead]`.
    package let counts: [Float]
    /// How weights are stored, in files and where they compute.
    let type: ElementType
    /// Tells calibrations apart: 16 hexadecimal digits.
    public let digest: String
    /// The weights, once.
    private let place: Mutex<Place>

    private enum Place {
        /// Per layer as they are stored, on the host.
        case host([[UInt8]])
        case device(CalibratedWeights)
    }

    /// - Parameters:
    ///   - weights: per layer `[kvHeads * ages][width]`, flat.
    ///   - biases: per layer `[kvHeads * ages]`.
    ///   - counts: `[window][threshold][layer][kvHead]`, flat.
    ///   - type: how weights are stored, f32, f16 or q8_0; ``usualType(width:)`` if nil.
    /// - Throws: ``CacheError`` of kind `calibration` if the sizes do not fit together or a number is not finite or too large.
    package convenience init(
        model: String, ages: [Int], windows: [Int], thresholds: [Float], weights: [[Float]], biases: [[Float]],
        counts: [Float], type: ElementType? = nil, provenance: Provenance
    ) throws {
        let width = (weights.first?.count ?? 0) / max(1, biases.first?.count ?? 0)
        guard zip(weights, biases).allSatisfy({ $0.count == $1.count * width }) else {
            throw CacheError(.calibration, "the layers' weights differ in size")
        }
        let type = type ?? Self.usualType(width: width)
        try self.init(
            model: model, ages: ages, windows: windows, thresholds: thresholds, width: width,
            encoded: weights.map(type.encoded), type: type, biases: biases, counts: counts, provenance: provenance)
    }

    /// - Parameters:
    ///   - width: length of the layers' input.
    ///   - encoded: per layer the weights as they are stored, `[kvHeads * ages][width]`.
    /// - Throws: as the initializer from numbers.
    init(
        model: String, ages: [Int], windows: [Int], thresholds: [Float], width: Int, encoded: [[UInt8]],
        type: ElementType, biases: [[Float]], counts: [Float], provenance: Provenance
    ) throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw CacheError(.calibration, what) }
        }
        try require(Self.areAges(ages), "ages \(ages): \(Self.whatAgesAre)")
        try require(Self.areWindows(windows), "windows \(windows): \(Self.whatWindowsAre)")
        try require(
            !thresholds.isEmpty && zip(thresholds, thresholds.dropFirst()).allSatisfy { $0 < $1 },
            "the thresholds do not ascend")
        let rows = biases.first?.count ?? 0
        try require(rows > 0 && rows % ages.count == 0 && width > 0, "there are no weights")
        try require(
            encoded.count == biases.count && encoded.allSatisfy { $0.count == type.bytes(width) * rows }
                && biases.allSatisfy { $0.count == rows }, "the layers' weights differ in size")
        let heads = rows / ages.count
        try require(
            counts.count == windows.count * thresholds.count * biases.count * heads,
            "there are \(counts.count) counts of entries")
        let weights = encoded.map(type.decoded)
        try require(
            (weights + biases + [thresholds]).allSatisfy { $0.allSatisfy(\.isFinite) }, "a number is not finite")
        // Slots are solved from them, in whole numbers.
        try require(counts.allSatisfy { (0...1e9).contains($0) }, "a count of entries is not a number from 0 to 1e9")
        let made = [provenance.texts, provenance.tokens, provenance.longest]
        try require(made.allSatisfy { (0...Int(UInt32.max)).contains($0) }, "\(made) texts and tokens are none")
        self.model = model
        self.ages = ages
        self.windows = windows
        self.thresholds = thresholds
        place = Mutex(.host(encoded))
        self.biases = biases
        self.counts = counts
        self.type = type
        self.provenance = provenance
        layerCount = biases.count
        kvHeads = heads
        self.width = width
        var checksum = Checksum()
        checksum.add("\(model) \(ages) \(windows)")
        for numbers in weights + biases + [counts, thresholds] { numbers.withUnsafeBytes { checksum.add($0) } }
        digest = checksum.digits
    }

    /// How weights are stored if nobody says otherwise: q8_0 if the width allows it, else f16.
    static func usualType(width: Int) -> ElementType {
        width % ElementType.q8_0.blockLength == 0 ? .q8_0 : .f16
    }

    /// Ages that a score may have: each takes a byte per slot.
    static let mostAges = 8

    /// The largest age and window: 32-bit floats count positions exactly so far.
    private static let limit = 1 << 24

    private static func ascend(_ numbers: [Int], from first: Int) -> Bool {
        zip([first - 1] + numbers, numbers + [limit + 1]).allSatisfy { $0 < $1 }
    }

    static func areAges(_ ages: [Int]) -> Bool { (1...mostAges).contains(ages.count) && ascend(ages, from: 1) }
    static let whatAgesAre = "1 to \(mostAges) ascending numbers from 1 to \(limit) are needed"
    static func areWindows(_ windows: [Int]) -> Bool { !windows.isEmpty && ascend(windows, from: 0) }
    static let whatWindowsAre = "ascending numbers from 0 to \(limit) are needed"

    /// The ages of `morphkv calibrate`.
    public static let usualAges = [1, 16, 64, 256, 1024]

    /// Bytes of weights and biases where a model computes; all sequences share them.
    public var bytes: Int { biases.reduce(0) { $0 + type.bytes(width * $1.count) + 4 * $1.count } }

    /// Per layer the weights as they are stored, `[kvHeads * ages][width]`, flat.
    var encodedWeights: [[UInt8]] {
        place.withLock { place in
            switch place {
            case .host(let encoded): encoded
            case .device(let loaded): loaded.weights.map { $0.values() }
            }
        }
    }

    /// Per layer `[kvHeads * ages][width]`, flat; decoded at every call.
    package var weights: [[Float]] { encodedWeights.map(type.decoded) }

    /// Moves each layer's weights to its device, once.
    ///
    /// - Throws: ``GgmlError`` when memory is short.
    func load(on placement: DevicePlacement) throws {
        try place.withLock { place in
            guard case .host(let encoded) = place else { return }
            place = .device(try CalibratedWeights(self, encoded, on: placement))
        }
    }

    /// The weights on the device that ``load(on:)`` named; nil before.
    var loaded: CalibratedWeights? {
        place.withLock { if case .device(let loaded) = $0 { loaded } else { nil } }
    }

    /// What is foreseen of tokens, for each of a layer's KV heads the scores of all ages: `[kvHeads * ages, tokens]`.
    ///
    /// - Parameters:
    ///   - input: the layer's normed input, `[embedding, tokens]`.
    ///   - kvHeads: the layer's.
    func scores(of input: Tensor, layer: Int, kvHeads: Int, in graph: Graph) -> Tensor {
        let (weights, biases) = (loaded!.weights[layer], loaded!.biases[layer])
        let rows = kvHeads * ages.count
        // Layers with fewer KV heads than others have no use for the last rows.
        guard rows < weights[1] else { return graph.add(graph.matmul(weights, input), biases) }
        let own = graph.view(weights, [weights[0], rows], strides: [weights.strides[1]])
        return graph.add(graph.matmul(own, input), graph.view(biases, [rows]))
    }

    /// Mean numbers of entries older than a window whose score exceeds each threshold: `[threshold][layer][kvHead]`.
    ///
    /// - Parameter window: the largest of ``windows`` that is not larger counts, else the first.
    func counts(window: Int) -> [[[Float]]] {
        let index = windows.lastIndex { $0 <= window } ?? 0
        return thresholds.indices.map { threshold in
            (0..<layerCount).map { layer in
                let first = ((index * thresholds.count + threshold) * layerCount + layer) * kvHeads
                return Array(counts[first..<first + kvHeads])
            }
        }
    }
}

extension Calibration.Provenance: CustomStringConvertible {
    /// What a calibration was learned from, in one line.
    public var description: String { "\(source); \(texts) texts, \(tokens) tokens, the longest \(longest)" }
}

/// Equal if they say the same about the same model.
extension Calibration: Hashable {
    /// Whether both say the same about the same model.
    public static func == (a: Calibration, b: Calibration) -> Bool { a.digest == b.digest }
    /// Hashes what it says.
    public func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}

/// A calibration's weights where a model computes.
final class CalibratedWeights: @unchecked Sendable {
    // Sound to share: written once, in `init`; graphs read them.
    private let arenas: [Arena]
    /// Per layer `[width, kvHeads * ages]`
    let weights: [Tensor]
    /// Per layer `[kvHeads * ages]`
    let biases: [Tensor]

    /// - Parameter encoded: per layer the weights as they are stored.
    init(_ calibration: Calibration, _ encoded: [[UInt8]], on placement: DevicePlacement) throws {
        let rows = calibration.biases[0].count
        let layers = calibration.layerCount
        let arenas = try placement.devices.map { _ in try Arena(tensors: 2 * layers) }
        self.arenas = arenas
        weights = (0..<layers).map {
            arenas[placement.index(of: $0)].tensor(
                calibration.type, [calibration.width, rows], name: "layer.\($0).weight")
        }
        biases = (0..<layers).map {
            arenas[placement.index(of: $0)].tensor(.f32, [rows], name: "layer.\($0).bias")
        }
        for (arena, device) in zip(arenas, placement.devices) { try arena.allocate(on: Backend(device, threads: 1)) }
        for layer in 0..<layers {
            weights[layer].write(encoded[layer])
            biases[layer].write(calibration.biases[layer])
        }
    }
}
