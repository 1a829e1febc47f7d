#if Server
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV

/// The model, the state of the server, and its metrics.
struct InfoRoutes: Sendable {
    let scheduler: Scheduler
    let configuration: ServerConfiguration
    let readiness: Readiness
    let announced: Announced
    private let created = Int(Date().timeIntervalSince1970)

    init(scheduler: Scheduler, configuration: ServerConfiguration, readiness: Readiness, announced: Announced) {
        self.scheduler = scheduler
        self.configuration = configuration
        self.readiness = readiness
        self.announced = announced
    }

    /// A model as the interface lists it.
    struct ModelCard: Encodable {
        /// What this server adds: how its caches are.
        struct Extension: Encodable {
            var policy: String
            var policies: [String]
            var parallel: Int
            var cacheBytesPerSequence: Int
            var maxPromptTokens: Int
            var maxTokens: Int
            var calibration: CalibrationCard?
            var contexts: [ContextCard]
        }

        /// What the model's calibration was learned from.
        struct CalibrationCard: Encodable {
            var source: String
            var texts: Int
            var tokens: Int
            var longest: Int
            var bytes: Int

            init(_ calibration: Calibration) {
                let provenance = calibration.provenance
                (source, texts) = (provenance.source, provenance.texts)
                (tokens, longest, bytes) = (provenance.tokens, provenance.longest, calibration.bytes)
            }
        }

        /// A text that was read before.
        struct ContextCard: Encodable {
            var id: String
            var tokens: Int
            var bytes: Int
        }

        /// What the model is, as llama-server states it.
        struct Meta: Encodable {
            var nVocab: Int
            var nCtxTrain: Int
            var nEmbd: Int
            var size: Int
        }

        var id: String
        var aliases: [String]
        var tags: [String]
        var object = "model"
        var created: Int
        var ownedBy = "morphkv"
        /// Like ``morphkv``, nothing while the model is not in memory.
        var meta: Meta?
        /// What is done with it at present, where there are several; its file, and the bytes that it takes at most.
        var status: ModelStatus?
        var path: String?
        var bytes: Int?
        var morphkv: Extension?
    }

    struct ModelList: Encodable {
        var object = "list"
        var data: [ModelCard]
    }

    var card: ModelCard {
        let options = scheduler.options
        let description = scheduler.model.description
        return ModelCard(
            id: configuration.modelName, aliases: configuration.modelNames, tags: configuration.modelTags,
            created: created,
            meta: .init(
                nVocab: description.vocabularySize, nCtxTrain: description.contextLength,
                nEmbd: description.embeddingLength, size: scheduler.model.weightBytes),
            morphkv: .init(
                policy: options.cache.policy.specification, policies: configuration.policies.descriptors.map(\.name),
                parallel: options.parallel, cacheBytesPerSequence: scheduler.memory.cachePerSequence,
                maxPromptTokens: options.maxPromptTokens, maxTokens: options.maxTokens,
                calibration: (try? scheduler.model.calibration()).map(ModelCard.CalibrationCard.init),
                contexts: scheduler.servedContexts.filter { $0.state == .ready }.map {
                    .init(id: $0.name, tokens: $0.tokens, bytes: $0.bytes)
                }))
    }

    func models() throws -> Response { try Response.json(ModelList(data: [card])) }

    func model(_ name: String) throws -> Response {
        guard configuration.modelNames.contains(name) else {
            throw APIError.notFound("the model '\(name.prefix(100))' does not exist here", code: "model_not_found")
        }
        return try Response.json(card)
    }

    func health() throws -> Response {
        let state = readiness.state
        return try Response.json(["status": state.rawValue], status: state == .ready ? .ok : .serviceUnavailable)
    }

    func metrics() throws -> Response {
        guard configuration.servesMetrics else { throw APIError.notBuilt(Self.noMetrics) }
        return Self.metrics(MetricsText(scheduler, announced.memory).text, since: created)
    }

    static let noMetrics = "metrics: it was started with --no-metrics"

    /// - Parameter created: when the server started.
    static func metrics(_ text: String, since created: Int) -> Response {
        Response(
            status: .ok,
            headers: [
                .contentType: "text/plain; version=0.0.4; charset=utf-8",
                .init("Process-Start-Time-Unix")!: "\(created)",
            ],
            body: .init(byteBuffer: .init(string: text)))
    }
}
#endif
