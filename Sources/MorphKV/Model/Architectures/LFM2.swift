internal import Ggml

/// LFM2: gated short convolutions, and among them blocks with attention, whose number of KV heads is not 0.
enum LFM2: Architecture {
    static let name = "lfm2"
    static let pairing = RopeParameters.Pairing.halves
    static let statesHeadsPerBlock = true

    static func adapt(_ description: inout DecoderDescription, _ metadata: Metadata) throws {
        description.queryKeyNorm = .perHead
        // Converters call the norm behind the last block so.
        description.outputNorm = "token_embd_norm"
        try description.applySlidingWindow(metadata)
        let taps = try metadata.size("shortconv.l_cache", limit: 1 << 8)
        guard taps > 1 else {
            throw ModelError(.metadata, "\(metadata.key("shortconv.l_cache")) is \(taps), less than 2")
        }
        let heads = try metadata.headsPerBlock() ?? []
        try description.makeRecurrent(
            description.layers.map { heads.isEmpty ? false : heads[$0.block] == 0 }, .shortConvolution(taps: taps),
            statedBy: "attention.head_count_kv of \(metadata.file.name)")
    }
}
