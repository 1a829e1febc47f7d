internal import Ggml

extension CompressedContext {
    /// Whether what a cache of these options keeps of a text is settled once the text was read, so that it can be read
    /// once for many questions. Policies of constant size choose anew with every token instead, and need the sequence.
    ///
    /// - Throws: ``CacheError`` when the options cannot be honoured for the model.
    package static func canHold(_ options: CacheOptions, of model: Model) throws -> Bool {
        let plans = try KVCache.plans(for: model.description, options.prepared(for: model), on: model.placement)
        return zip(plans, model.description.layers).allSatisfy { plans, layer in
            plans.allSatisfy {
                $0.slots == nil || $0.rule == RetentionRule.everything.limited(to: layer.slidingWindow)
            }
        }
    }
}

extension FrozenCache {
    /// Whether every layer holds all that it can see of the text.
    func isWhole(_ description: DecoderDescription) -> Bool {
        zip(layers, description.layers).allSatisfy { layer, description in
            let expected = min(tokens, description.slidingWindow ?? tokens)
            return layer.layout.counts.allSatisfy { $0 == expected }
        }
    }
}
