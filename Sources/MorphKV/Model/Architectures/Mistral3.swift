internal import Foundation
internal import Ggml

/// Mistral 3 and Ministral 3: Llama with YaRN whose magnitude the file states, and queries that grow with their
/// position.
enum Mistral3: Architecture {
    static let name = "mistral3"
    static let pairing = RopeParameters.Pairing.neighbours
    static let mixesExperts = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.ropeFactors = metadata.ropeFactors(description)
        try description.applyAttentionScale(metadata)
        guard var rope = description.layers[0].rope else { return }
        if let multiplier = try metadata.float("rope.scaling.yarn_log_multiplier"), rope.extrapolation != 0 {
            // ggml multiplies by 1 + 0.1 ln(factor); the model was trained with that over the same with its multiplier.
            let logarithm = 0.1 * max(0, -log(rope.scale))
            let magnitude = 1 + multiplier * logarithm
            guard magnitude > 0 else {
                throw ModelError(.metadata, "\(metadata.key("rope.scaling.yarn_log_multiplier")) is \(multiplier)")
            }
            if multiplier != 0 { rope.attentionFactor /= magnitude }
        }
        for index in description.layers.indices { description.layers[index].rope = rope }
        if let scale = try metadata.float("attention.temperature_scale"), scale != 0 {
            description.queryTemperature = .init(scale: scale, period: rope.originalContext)
        }
    }
}
