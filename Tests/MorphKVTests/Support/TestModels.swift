import Foundation
import Ggml
import MorphKV
import TestSupport

/// Small models with random weights, written once per test run.
enum TestModels {
    static let folder = TemporaryFolder.ofTheRun.url

    /// What files of some architectures may have or not, as "ARCHITECTURE with SOMETHING".
    static let variants: [String: @Sendable (inout ModelShape) -> Void] = [
        "llama with experts": { $0.experts = .init(count: 8, used: 2) },
        "mistral3 with experts": { $0.experts = .init(count: 4, used: 1) },
        "granite with experts": { $0.experts = .init(count: 4, used: 2, sharedLength: 32) },
        "granitehybrid with experts": {
            $0.extraFlags["rope.scaling.finetuned"] = false
            $0.experts = .init(count: 4, used: 2, sharedLength: 64)
        },
        "olmo2 with local layers": {
            $0.layers = 5
            $0.slidingWindow = 40
        },
        "qwen35moe with gate and up in one": { $0.fusesExperts = true },
        "gemma4 with experts": {
            $0.experts = .init(count: 6, used: 2, sharedLength: 64)
            $0.gemma?.lengths = nil
            $0.gemma?.perLayer = 0
            $0.gemma?.sharedBlocks = nil
            $0.gemma?.valuesAreKeys = true
            $0.fusesExperts = true
        },
    ]

    /// A small decoder: MHA (heads equal), GQA or MQA (one KV head).
    ///
    /// - Parameter name: an architecture, or one of the ``variants``.
    static func shape(_ name: String, queryHeads: Int = 4, kvHeads: Int = 2, tied: Bool = false) -> ModelShape {
        var shape = plain(
            String(name.prefix { $0 != " " }), queryHeads: queryHeads, kvHeads: kvHeads, tied: tied)
        variants[name]?(&shape)
        return shape
    }

    private static func plain(_ architecture: String, queryHeads: Int, kvHeads: Int, tied: Bool) -> ModelShape {
        var shape = ModelShape(
            architecture, embedding: 32 * queryHeads, layers: 2, feedForward: 256, queryHeads: queryHeads,
            kvHeads: kvHeads, headDimension: 32, vocabulary: 320, tiesEmbeddings: tied, context: 2048, ropeBase: 10000)
        adapt(&shape)
        return shape
    }

    /// What the files of an architecture have.
    static func adapt(_ shape: inout ModelShape) {
        switch shape.architecture {
        case "gemma3":
            shape.layers = 4
            shape.slidingWindow = 96
            shape.slidingPattern = 2
        case "smollm3": shape.layers = 4
        case "mistral3":
            shape.ropeScaling = "yarn"
            shape.extraIntegers["rope.scaling.original_context_length"] = 32
            shape.extraFloats = [
                "rope.scaling.factor": 4, "rope.scaling.yarn_log_multiplier": 0.9, "attention.temperature_scale": 0.05,
            ]
        case "granite", "granitemoe", "granitehybrid":
            shape.extraFloats = [
                "attention.scale": 0.2, "residual_scale": 0.4, "logit_scale": 6, "embedding_scale": 3,
            ]
            if shape.architecture == "granitehybrid" {
                shape.layers = 6
                shape.recurrence = .stateSpace(
                    .init(heads: 8, size: shape.embedding / 4, stateSize: 24, groups: 2, taps: 4))
                shape.attentionBlocks = [1, 4]
            }
            if shape.architecture == "granitemoe" { shape.experts = .init(count: 6, used: 3, sharedLength: 64) }
        case "gpt-oss":
            shape.tiesEmbeddings = false
            shape.experts = .init(count: 8, used: 3)
            shape.slidingWindow = 48
        case "qwen3moe": shape.experts = .init(count: 8, used: 2)
        case "olmo2", "olmoe":
            shape.tiesEmbeddings = false
            guard shape.architecture == "olmoe" else { return }
            // There are none with fewer KV heads.
            shape.kvHeads = shape.queryHeads
            shape.experts = .init(count: 8, used: 2)
        default: adaptBlocks(&shape)
        }
    }

    /// What the files of an architecture have whose blocks differ from each other.
    private static func adaptBlocks(_ shape: inout ModelShape) {
        switch shape.architecture {
        case "gemma3n":
            shape.layers = 6
            shape.slidingWindow = 28
            // What libllama expects, whatever the file states.
            shape.gemma?.perLayer = 256
        case "gemma4":
            // Two blocks attend to the keys of the third, one to those of the fourth.
            shape.layers = 7
            shape.slidingWindow = 28
            shape.headDimension = 64
            shape.gemma?.localDimension = 32
            shape.gemma?.perLayer = 32
            shape.gemma?.sharedBlocks = 3
            shape.gemma?.localBlocks = [true, false, true, false, true, true, false]
            shape.gemma?.globalKVHeads = max(1, shape.kvHeads / 2)
            shape.gemma?.lengths = [96, 96, 96, 96, 160, 160, 160]
            shape.extraFloats["final_logit_softcapping"] = 30
        case "lfm2", "lfm2moe":
            // With blocks before the first layer, between two, and behind the last one.
            shape.layers = 6
            shape.recurrence = .shortConvolution(taps: 3)
            shape.attentionBlocks = [1, 4]
            guard shape.architecture == "lfm2moe" else { return }
            shape.experts = .init(count: 8, used: 2)
            shape.experts?.usesSigmoid = true
            shape.denseBlocks = .init(count: 2, length: 96)
        case "qwen35", "qwen35moe", "qwen3next":
            shape.layers = 4
            shape.attentionInterval = 2
            shape.ropeDimensions = shape.headDimension / 2
            shape.recurrence = .gatedDeltaNet(
                .init(keyHeads: 2, valueHeads: 4, size: 24, taps: 4, groupsHeads: shape.architecture == "qwen3next"))
            if shape.architecture != "qwen3next" {
                shape.extraLists["rope.dimension_sections"] = ModelShape.ropeSections(pairs: shape.headDimension / 4)
            }
            guard shape.architecture != "qwen35" else { return }
            shape.experts = .init(count: 8, used: 2, sharedLength: 64, gatesShared: true)
        default: break
        }
    }

    static func url(_ shape: ModelShape, _ type: ElementType = .f32, seed: UInt64 = 3) throws -> URL {
        let url = folder.appendingPathComponent("\(UUID().uuidString).gguf")
        var model = try RandomModel(shape, type: type, seed: seed)
        try model.write(to: url)
        return url
    }

    static func tokens(_ count: Int, vocabulary: Int = 320, seed: UInt64) -> [Token] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in Token(random.next() % UInt64(vocabulary)) }
    }
}
