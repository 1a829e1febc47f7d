internal import Ggml

/// What a cache costs that keeps everything, for comparison.
package struct FullCacheCost: Sendable {
    /// Per layer: bytes of one token, and after how many tokens a sliding window drops the first.
    private let layers: [(bytesPerToken: Int, limit: Int)]
    private let constant: Int

    /// - Parameter cache: the types of keys and values; its policy does not matter.
    package init(_ model: Model, _ cache: CacheOptions) throws {
        let description = model.description
        constant = description.recurrentBytes
        layers = description.layers.map { (cache.bytesPerToken(of: $0), $0.slidingWindow ?? .max) }
    }

    /// Bytes of keys and values of so many tokens, and of what blocks without attention remember.
    package func bytes(of tokens: Int) -> Int {
        layers.reduce(constant) { $0 + $1.bytesPerToken * min(tokens, $1.limit) }
    }
}
