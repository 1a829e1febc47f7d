/// The blocks of one LongGenBench response, found as `eval.py` of mozhu621/LongGenBench finds them.
public struct LongGenBenchBlocks: Sendable, Hashable {
    /// Every piece of the response between two `#*#`, in order.
    public let pieces: [String]
    /// The number of white-space separated words of the whole response.
    public let wordCount: Int
    /// The piece of each number, by number: the first that says "Week 12" for 12.
    public let pieceOfNumber: [Int: Int]
    /// The numbers in the order in which they first appear.
    public let numbers: [Int]

    /// Splits a response.
    ///
    /// - Parameters:
    ///   - response: What the model wrote, preceded by the sample's `prefix`, which its prompt ends with.
    ///   - type: What a block is called before its number: "Week", "Floor", "Menu Week" or "Block".
    public init(response: String, type: String) {
        let text = CodePoints(response)
        self.init(pieces: text.split(separator: "#*#"), wordCount: text.words().count, type: type)
    }

    /// Takes pieces that another program split already, as the `output_blocks` of a LongGenBench result.
    public init(pieces: [String], type: String) {
        self.init(response: pieces.joined(separator: "#*#"), type: type)
    }

    private init(pieces: [CodePoints], wordCount: Int, type: String) {
        let label = CodePoints(type + " ")
        var pieceOfNumber: [Int: Int] = [:]
        var numbers: [Int] = []
        for (index, piece) in pieces.enumerated() {
            guard let number = piece.firstNumber(after: label)?.integer, pieceOfNumber[number] == nil else { continue }
            pieceOfNumber[number] = index
            numbers.append(number)
        }
        self.pieces = pieces.map(\.string)
        self.wordCount = wordCount
        self.pieceOfNumber = pieceOfNumber
        self.numbers = numbers
    }

    /// The text of a numbered block.
    public func block(_ number: Int) -> String? { pieceOfNumber[number].map { pieces[$0] } }

    /// The percentage of the numbers from 1 to `expected` that have a block.
    public func completionRate(expected: Int) -> Double {
        guard expected > 0 else { return 0 }
        let present = pieceOfNumber.keys.count { (1...expected).contains($0) }
        return Double(present) / Double(expected) * 100
    }
}
