/// Which device each layer of a model lies on: every device has layers that follow each other.
public struct DevicePlacement: Sendable, Hashable {
    /// The devices that have layers, in the order of the layers.
    public let devices: [Device]
    /// For each layer the index of its device.
    private let places: [Int]

    /// All layers on one device.
    public init(_ device: Device) {
        devices = [device]
        places = []
    }

    /// Spreads layers over devices.
    ///
    /// - Parameters:
    ///   - devices: at least one, all different, in the order in which they get layers.
    ///   - shares: a number for each device that its share of the layers is in proportion to; free memory if nil.
    ///   - layers: how many there are; devices whose share is too small for one get none.
    /// - Throws: ``GgmlError`` of kind `device` if the shares are not as many positive numbers as there are devices.
    public init(_ devices: [Device], shares: [Double]? = nil, layers: Int) throws {
        guard !devices.isEmpty, Set(devices).count == devices.count else {
            throw GgmlError(.device, "the devices \(devices.map(\.name)) are none, or one of them twice")
        }
        let shares = shares ?? devices.map { Double(max(1, $0.memory.free)) }
        guard shares.count == devices.count, shares.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw GgmlError(
                .device, "the split \(shares) is not a positive number for each of \(devices.count) devices")
        }
        let all = shares.reduce(0, +)
        var ends = shares
        for index in ends.indices.dropFirst() { ends[index] += ends[index - 1] }
        let chosen = (0..<layers).map { layer in
            ends.firstIndex { (Double(layer) + 0.5) / Double(layers) < $0 / all } ?? devices.count - 1
        }
        let used = devices.indices.filter(chosen.contains)
        self.devices = used.map { devices[$0] }
        places = used.count < 2 ? [] : chosen.map { used.firstIndex(of: $0)! }
    }

    /// Whether there are several devices.
    public var isSpread: Bool { devices.count > 1 }

    /// The index of a layer's device; layers behind the last one have the last one's.
    package func index(of layer: Int) -> Int {
        places.isEmpty ? 0 : places[min(max(layer, 0), places.count - 1)]
    }

    /// The device of a layer.
    public func device(of layer: Int) -> Device { devices[index(of: layer)] }

    /// Whether all of it lies in memory that the process owns.
    package var usesHostMemory: Bool { !isSpread && devices[0].usesHostMemory }
}
