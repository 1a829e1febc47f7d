/// Turns text into tokens and back, without special tokens unless the closures add them.
public struct TokenCodec: Sendable {
    /// The tokens of a text.
    public let encode: @Sendable (String) throws -> [Int32]
    /// The text of tokens.
    public let decode: @Sendable ([Int32]) throws -> String

    /// Creates a codec from a tokenizer's two functions.
    public init(
        encode: @escaping @Sendable (String) throws -> [Int32], decode: @escaping @Sendable ([Int32]) throws -> String
    ) {
        self.encode = encode
        self.decode = decode
    }

    /// The prompt, or if it has more than `maximumTokens` tokens the first half of as many and the last, as LongBench's
    /// `pred.py` cuts: the beginning and the end of a prompt hold its instructions.
    public func truncatedInTheMiddle(_ prompt: String, maximumTokens: Int) throws -> String {
        let tokens = try encode(prompt)
        guard tokens.count > maximumTokens else { return prompt }
        let half = max(0, maximumTokens / 2)
        return try decode(Array(tokens.prefix(half))) + decode(Array(tokens.suffix(half)))
    }
}
