internal import Ggml

// Tensors of models whose blocks get more than one residual stream.
extension WeightLoader {
    mutating func perLayerInputs() throws -> PerLayerInputs? {
        let d = description
        guard d.perLayerLength > 0 else { return nil }
        return PerLayerInputs(
            table: try required("per_layer_token_embd.weight", [d.perLayerLengths, d.vocabularySize], as: .table),
            projection: try projection("per_layer_model_proj", [d.embeddingLength, d.perLayerLengths]),
            norm: try vector("per_layer_proj_norm.weight", d.perLayerLength))
    }

    mutating func streamWeights() throws -> StreamWeights? {
        guard let alternatives = description.alternatives else { return nil }
        let shape = [description.embeddingLength, description.embeddingLength, alternatives.count - 1]
        // Several matrices at once are multiplied as they are.
        return StreamWeights(
            entering: try required("altup_proj.weight", shape, as: .table),
            leaving: try required("altup_unembd_proj.weight", shape, as: .table))
    }

    mutating func perLayer(_ name: (String) -> String) throws -> PerLayerWeights? {
        let (e, own) = (description.embeddingLength, description.perLayerLength)
        guard own > 0 else { return nil }
        return PerLayerWeights(
            gate: try projection(name("inp_gate"), [e, own]), output: try projection(name("proj"), [own, e]),
            norm: try vector(name("post_norm.weight"), e))
    }

    mutating func alternatives(_ name: (String) -> String) throws -> AlternativeWeights? {
        guard let alternatives = description.alternatives else { return nil }
        let (e, count, rank) = (description.embeddingLength, alternatives.count, alternatives.rank)
        return AlternativeWeights(
            router: try projection(name("altup_router"), [e, count]),
            routerNorm: try vector(name("altup_router_norm.weight"), e),
            prediction: try projection(name("altup_predict_coef"), [count, count * count]),
            correction: try projection(name("altup_correct_coef"), [count, count]),
            correctionScale: try vector(name("altup_correct_scale.weight"), e),
            left: try projection(name("laurel_l"), [e, rank]), right: try projection(name("laurel_r"), [rank, e]),
            norm: try vector(name("laurel_post_norm.weight"), e))
    }

    mutating func parallelNorms(_ feedForward: FeedForward, _ name: (String) -> String) throws -> ParallelNorms? {
        guard let experts = feedForward.experts, experts.hasOwnNorms else { return nil }
        let e = description.embeddingLength
        return ParallelNorms(
            before: try vector(name("pre_ffw_norm_2.weight"), e),
            behindNetwork: try vector(name("post_ffw_norm_1.weight"), e),
            behindExperts: try vector(name("post_ffw_norm_2.weight"), e),
            routerScale: try vector(name("ffn_gate_inp.scale"), e),
            expertScales: try optional(name("ffn_down_exps.scale"), [experts.count], as: .exact))
    }
}
