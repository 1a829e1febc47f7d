/// Cuts a text where libllama's regular expressions would recurse too deep.
///
/// Byte-pair vocabularies split texts with std::regex where libllama has no code of its own for their expression, and
/// libstdc++ takes 330 bytes of stack for every character of a match: 25,000 letters in a row end the process. No
/// match reaches beyond a word and the white space around it, so ordinary texts stay in one piece.
enum LongRuns {
    /// The longest run of bytes without, or with nothing but, white space that stays in one piece.
    static let limit = 4096

    /// The pieces, none of which begins within a character.
    static func pieces(_ text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        var start = 0
        var run = 0
        var isInSpace = false
        for (index, byte) in text.enumerated() {
            let beginsCharacter = byte & 0b1100_0000 != 0b1000_0000
            if beginsCharacter {
                let isSpace = byte <= 0x20
                if isSpace != isInSpace { run = 0 }
                isInSpace = isSpace
                if run >= limit {
                    pieces.append(start..<index)
                    start = index
                    run = 0
                }
            }
            run += 1
        }
        return pieces + [start..<text.count]
    }
}
