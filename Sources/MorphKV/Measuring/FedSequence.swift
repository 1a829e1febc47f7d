/// A sequence that is fed token by token: an engine, or what it is compared with.
package protocol FedSequence: AnyObject {
    /// The logits after the last token fed, one per token id.
    var logits: [Float] { get }
    /// Feeds one token.
    func decode(_ token: Token) throws
}

extension Engine: FedSequence {}
