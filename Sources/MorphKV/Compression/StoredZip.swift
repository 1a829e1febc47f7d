internal import Foundation

/// A ZIP archive whose files are not compressed, as PyTorch writes them: reading and writing what is needed of the format.
struct StoredZip {
    /// What such a file begins with.
    static let start: [UInt8] = [0x50, 0x4B, 0x03, 0x04]

    /// The files, in the order of the archive.
    private(set) var files: [(name: String, content: [UInt8])] = []

    init(_ files: [(name: String, content: [UInt8])]) { self.files = files }

    // MARK: Reading

    /// Reads an archive by its directory.
    ///
    /// - Throws: ``HeadScoreProblem`` if it is damaged, compressed, encrypted or of 64 bits.
    init(_ data: Data) throws {
        let reader = ByteReader(data)
        let end = try Self.end(of: reader)
        var place = Int(try reader.number32(at: end + 16))
        for _ in 0..<Int(try reader.number16(at: end + 10)) {
            guard try reader.number32(at: place) == 0x0201_4B50 else {
                throw HeadScoreProblem("its directory is damaged")
            }
            let (flags, method) = (try reader.number16(at: place + 8), try reader.number16(at: place + 10))
            guard method == 0, flags & 1 == 0 else { throw HeadScoreProblem("it is compressed or encrypted") }
            let (sum, size) = (try reader.number32(at: place + 16), Int(try reader.number32(at: place + 20)))
            let lengths = try [28, 30, 32].map { Int(try reader.number16(at: place + $0)) }
            let name = String(decoding: try reader.bytes(at: place + 46, lengths[0]), as: UTF8.self)
            let header = Int(try reader.number32(at: place + 42))
            guard try reader.number32(at: header) == 0x0403_4B50 else { throw HeadScoreProblem("it is damaged") }
            let skipped = try [26, 28].reduce(30) { try $0 + Int(reader.number16(at: header + $1)) }
            let content = try reader.bytes(at: header + skipped, size)
            guard Self.checksum(content) == sum else { throw HeadScoreProblem("'\(name)' is damaged") }
            files.append((name, content))
            place += 46 + lengths.reduce(0, +)
        }
    }

    /// Where the record stands that the archive ends with; a comment may follow.
    private static func end(of reader: ByteReader) throws -> Int {
        var place = reader.count - 22
        while place >= 0, place >= reader.count - 22 - 65_535 {
            if try reader.number32(at: place) == 0x0605_4B50 { return place }
            place -= 1
        }
        throw HeadScoreProblem("it is cut off")
    }

    // MARK: Writing

    /// The archive.
    var data: Data {
        var (body, directory) = ([UInt8](), [UInt8]())
        for (name, content) in files {
            let (name, offset) = (Array(name.utf8), UInt32(body.count))
            // Version 2.0, names in UTF-8, stored; no time. The same in both places.
            var common = Self.bytes([20, 0x800, 0, 0, 0x21] as [UInt16])
            common += Self.bytes([Self.checksum(content), UInt32(content.count), UInt32(content.count)])
            common += Self.bytes([UInt16(name.count), 0])
            body += [Self.start, common, name, content].joined()
            directory += Self.bytes([0x0201_4B50] as [UInt32])
            directory += Self.bytes([20] as [UInt16])
            directory += common
            directory += Self.bytes([0, 0, 0] as [UInt16])
            directory += Self.bytes([0, offset] as [UInt32])
            directory += name
        }
        let count = UInt16(files.count)
        var end = Self.bytes([0x0605_4B50] as [UInt32])
        end += Self.bytes([0, 0, count, count] as [UInt16])
        end += Self.bytes([UInt32(directory.count), UInt32(body.count)])
        end += Self.bytes([0] as [UInt16])
        return Data([body, directory, end].joined())
    }

    /// Numbers as they stand in a file, the lowest byte first.
    static func bytes<Number: FixedWidthInteger>(_ numbers: [Number]) -> [UInt8] {
        numbers.flatMap { number in withUnsafeBytes(of: number.littleEndian) { Array($0) } }
    }

    /// CRC-32 of ISO 3309.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var sum: UInt32 = .max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? (sum >> 1) ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }
}

/// Bytes of a file that nobody trusts.
struct ByteReader {
    private let content: [UInt8]

    init(_ data: Data) { content = Array(data) }

    var count: Int { content.count }

    /// - Throws: ``HeadScoreProblem`` where there are not so many bytes.
    func bytes(at place: Int, _ count: Int) throws -> [UInt8] {
        guard place >= 0, count >= 0, place <= content.count, count <= content.count - place else {
            throw HeadScoreProblem("it is cut off")
        }
        return Array(content[place..<place + count])
    }

    func number16(at place: Int) throws -> UInt16 { try number(at: place) }
    func number32(at place: Int) throws -> UInt32 { try number(at: place) }

    private func number<Number: FixedWidthInteger & UnsignedInteger>(at place: Int) throws -> Number {
        var number: Number = 0
        for byte in try bytes(at: place, MemoryLayout<Number>.size).reversed() { number = number << 8 | Number(byte) }
        return number
    }
}
