internal import Foundation

/// Walks over the header of a GGUF file and refuses what gguf.h would answer by aborting or by asking for
/// absurd amounts of memory: empty or repeated keys, unknown types, lengths beyond the end of the file.
struct GgufHeaderCheck {
    private let url: URL
    private var data: Data
    private var position = 0

    init(_ url: URL) throws {
        self.url = url
        // Not Data(contentsOf:), which leaks a page when the file is empty.
        let mapping = try MappedFile(url)
        data = Data(
            bytesNoCopy: mapping.bytes.baseAddress!, count: mapping.bytes.count,
            deallocator: .custom { _, _ in withExtendedLifetime(mapping) {} })
    }

    /// Checks the header and returns the size of the file in bytes.
    consuming func run() throws -> Int {
        guard data.count >= 24, data.prefix(4).elementsEqual("GGUF".utf8) else {
            throw problem("it does not begin with a GGUF header")
        }
        position = 4
        let version: UInt32 = try read()
        guard (2...3).contains(version) else {
            throw problem("it has GGUF version \(version); versions 2 and 3 can be read")
        }
        let tensorCount = try readCount("number of tensors", bytesEach: 24)
        let keyCount = try readCount("number of keys", bytesEach: 13)
        var keys: Set<Data> = []
        for _ in 0..<keyCount {
            let key = try readString("key")
            guard !key.isEmpty else { throw problem("a key is empty") }
            guard keys.insert(key).inserted else { throw problem("key \(text(key)) appears twice") }
            if key.elementsEqual("general.alignment".utf8) { try checkAlignment() }
            try skipValue(of: key)
        }
        for _ in 0..<tensorCount { try checkTensor() }
        return data.count
    }

    /// Leaves the position before the value.
    private mutating func checkAlignment() throws {
        let start = position
        let type: UInt32 = try read()
        let value: UInt32 = try read()
        guard type == 4, value >= 8, value & (value - 1) == 0 else {
            throw problem("general.alignment is not a power of two from 8 on, stored with 32 bits")
        }
        position = start
    }

    private mutating func checkTensor() throws {
        let name = try readString("tensor name")
        guard !name.isEmpty else { throw problem("a tensor has no name") }
        let dimensions: UInt32 = try read()
        guard (1...4).contains(dimensions) else { throw problem("tensor \(text(name)) has \(dimensions) dimensions") }
        var count: UInt64 = 1
        for _ in 0..<dimensions {
            let extent: UInt64 = try read()
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent > 0, !overflow, product < 1 << 48 else {
                throw problem("tensor \(text(name)) has a dimension of \(extent)")
            }
            count = product
        }
        let type: UInt32 = try read()
        guard ElementType.all.contains(ElementType(rawValue: type)) else {
            throw problem("tensor \(text(name)) has the unknown type \(type)")
        }
        let _: UInt64 = try read()
    }

    private mutating func skipValue(of key: Data) throws {
        let type: UInt32 = try read()
        if type == 9 {
            let elementType: UInt32 = try read()
            guard elementType != 9 else { throw problem("key \(text(key)) is a list of lists") }
            try skip(elementType, count: readCount("length of \(text(key))", bytesEach: 1), key: key)
        } else {
            try skip(type, count: 1, key: key)
        }
    }

    private mutating func skip(_ type: UInt32, count: Int, key: Data) throws {
        switch type {
        case 0, 1, 7: try advance(count)
        case 2, 3: try advance(2 * count)
        case 4, 5, 6: try advance(4 * count)
        case 10, 11, 12: try advance(8 * count)
        case 8: for _ in 0..<count { try advance(readCount("length of a text", bytesEach: 1)) }
        default: throw problem("key \(text(key)) has the unknown type \(type)")
        }
    }

    // MARK: Reading

    private mutating func read<Value: FixedWidthInteger>() throws -> Value {
        let size = MemoryLayout<Value>.size
        guard position + size <= data.count else { throw problem("it ends within its header") }
        let value = data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: Value.self) }
        position += size
        return Value(littleEndian: value)
    }

    private mutating func readCount(_ what: String, bytesEach: Int) throws -> Int {
        let value: UInt64 = try read()
        guard value <= UInt64((data.count - position) / bytesEach) else {
            throw problem("the \(what) is \(value), more than the file has room for")
        }
        return Int(value)
    }

    private mutating func readString(_ what: String) throws -> Data {
        let length = try readCount("length of a \(what)", bytesEach: 1)
        defer { position += length }
        return data.subdata(in: position..<position + length)
    }

    private mutating func advance(_ count: Int) throws {
        guard count <= data.count - position else { throw problem("it ends within its header") }
        position += count
    }

    private func text(_ bytes: Data) -> String { "'\(String(decoding: bytes.prefix(64), as: UTF8.self))'" }

    private func problem(_ what: String) -> GgmlError {
        GgmlError(.format, "\(url.lastPathComponent) is not a well-formed GGUF file: \(what)")
    }
}
