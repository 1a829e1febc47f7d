/// A GGUF file as plain data, without any rule: it can be taken apart, changed and put together wrongly.
///
/// Written from the format's description, not on top of gguf.h, so that tests do not compare ggml with itself.
package struct RawGguf: Sendable {
    /// A value with the bytes that follow its type in the file.
    package struct Value: Sendable {
        package var type: UInt32
        package var payload: [UInt8]

        package init(type: UInt32, payload: [UInt8]) {
            self.type = type
            self.payload = payload
        }
    }

    package struct Tensor: Sendable {
        package var name: [UInt8]
        package var extents: [UInt64]
        package var type: UInt32
        package var offset: UInt64

        package init(_ name: String, extents: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) {
            self.name = Array(name.utf8)
            self.extents = extents
            self.type = type
            self.offset = offset
        }
    }

    package var magic = Array("GGUF".utf8)
    package var version: UInt32 = 3
    package var keys: [(name: [UInt8], value: Value)] = []
    package var tensors: [Tensor] = []
    /// What follows the header, from the next multiple of 32 on.
    package var data: [UInt8] = []
    /// What the header says instead of the truth.
    package var claimedKeyCount: UInt64?
    package var claimedTensorCount: UInt64?

    package init() {}

    package var header: [UInt8] {
        var bytes = magic + littleEndian(version)
        bytes += littleEndian(claimedTensorCount ?? UInt64(tensors.count))
        bytes += littleEndian(claimedKeyCount ?? UInt64(keys.count))
        for (name, value) in keys { bytes += Self.text(name) + littleEndian(value.type) + value.payload }
        for tensor in tensors {
            bytes += Self.text(tensor.name) + littleEndian(UInt32(tensor.extents.count))
            for extent in tensor.extents { bytes += littleEndian(extent) }
            bytes += littleEndian(tensor.type) + littleEndian(tensor.offset)
        }
        return bytes
    }

    package var bytes: [UInt8] {
        let header = header
        return header + [UInt8](repeating: 0, count: (32 - header.count % 32) % 32) + data
    }

    /// The value under a key; assigning nil removes it.
    package subscript(key: String) -> Value? {
        get { keys.first { $0.name == Array(key.utf8) }?.value }
        set {
            let name = Array(key.utf8)
            let index = keys.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): keys[index].value = value
            case (let index?, nil): keys.remove(at: index)
            case (nil, let value?): keys.append((name, value))
            case (nil, nil): break
            }
        }
    }

    /// Changes the description of one tensor.
    package mutating func withTensor(_ name: String, _ change: (inout Tensor) -> Void) {
        guard let index = tensors.firstIndex(where: { $0.name == Array(name.utf8) }) else { return }
        change(&tensors[index])
    }

    static func text(_ bytes: [UInt8]) -> [UInt8] { littleEndian(UInt64(bytes.count)) + bytes }
}

/// The bytes of a number as GGUF stores it.
package func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

extension RawGguf.Value {
    package static func u8(_ value: UInt8) -> Self { Self(type: 0, payload: [value]) }
    package static func i8(_ value: Int8) -> Self { Self(type: 1, payload: littleEndian(value)) }
    package static func u16(_ value: UInt16) -> Self { Self(type: 2, payload: littleEndian(value)) }
    package static func i16(_ value: Int16) -> Self { Self(type: 3, payload: littleEndian(value)) }
    package static func u32(_ value: UInt32) -> Self { Self(type: 4, payload: littleEndian(value)) }
    package static func i32(_ value: Int32) -> Self { Self(type: 5, payload: littleEndian(value)) }
    package static func f32(_ value: Float) -> Self { Self(type: 6, payload: littleEndian(value.bitPattern)) }
    package static func bool(_ value: UInt8) -> Self { Self(type: 7, payload: [value]) }
    package static func text(_ value: String) -> Self { Self(type: 8, payload: RawGguf.text(Array(value.utf8))) }
    package static func u64(_ value: UInt64) -> Self { Self(type: 10, payload: littleEndian(value)) }
    package static func i64(_ value: Int64) -> Self { Self(type: 11, payload: littleEndian(value)) }
    package static func f64(_ value: Double) -> Self { Self(type: 12, payload: littleEndian(value.bitPattern)) }

    package static func list(of type: UInt32, count: Int, _ payload: [UInt8]) -> Self {
        Self(type: 9, payload: littleEndian(type) + littleEndian(UInt64(count)) + payload)
    }
    package static func texts(_ values: [[UInt8]]) -> Self {
        list(of: 8, count: values.count, values.flatMap { RawGguf.text($0) })
    }
    package static func floats(_ values: [Float]) -> Self {
        list(of: 6, count: values.count, values.flatMap { littleEndian($0.bitPattern) })
    }
    package static func integers(_ values: [Int32]) -> Self {
        list(of: 5, count: values.count, values.flatMap { littleEndian($0) })
    }

    /// The texts of a list of texts; empty if it is something else.
    package var texts: [[UInt8]] {
        guard type == 9, payload.prefix(4).elementsEqual(littleEndian(UInt32(8))) else { return [] }
        var reader = ByteReader(bytes: payload, position: 4)
        return (0..<reader.number(UInt64.self)).map { _ in reader.text() }
    }

    /// The numbers of a list of 32-bit integers; empty if it is something else.
    package var integers: [Int32] {
        guard type == 9, payload.prefix(4).elementsEqual(littleEndian(UInt32(5))) else { return [] }
        var reader = ByteReader(bytes: payload, position: 4)
        return (0..<reader.number(UInt64.self)).map { _ in reader.number(Int32.self) }
    }
}

// MARK: - Taking a good file apart

extension RawGguf {
    /// Takes apart a file that is known to be good.
    package init(parsing bytes: [UInt8]) {
        var reader = ByteReader(bytes: bytes, position: 4)
        version = reader.number()
        let tensorCount: UInt64 = reader.number()
        let keyCount: UInt64 = reader.number()
        keys = (0..<keyCount).map { _ in (reader.text(), reader.value()) }
        tensors = (0..<tensorCount).map { _ in
            let name = reader.text()
            let dimensions: UInt32 = reader.number()
            let extents = (0..<dimensions).map { _ in reader.number(UInt64.self) }
            var tensor = Tensor("", extents: extents, type: reader.number(), offset: reader.number())
            tensor.name = name
            return tensor
        }
        data = Array(bytes[min(bytes.count, (reader.position + 31) / 32 * 32)...])
    }
}

private struct ByteReader {
    let bytes: [UInt8]
    var position: Int

    mutating func take(_ count: Int) -> [UInt8] {
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number {
        take(MemoryLayout<Number>.size).reversed().reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }

    mutating func text() -> [UInt8] { take(Int(number(UInt64.self))) }

    mutating func value() -> RawGguf.Value {
        let type: UInt32 = number()
        let start = position
        skip(type)
        return RawGguf.Value(type: type, payload: Array(bytes[start..<position]))
    }

    private mutating func skip(_ type: UInt32) {
        switch type {
        case 0, 1, 7: position += 1
        case 2, 3: position += 2
        case 4, 5, 6: position += 4
        case 10, 11, 12: position += 8
        case 8: _ = text()
        default:
            let element: UInt32 = number()
            for _ in 0..<number(UInt64.self) { skip(element) }
        }
    }
}
