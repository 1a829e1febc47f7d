#if Server
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV
internal import NIOCore

/// The list of a folder's models, and what is done with them: as llama-server's router has it.
struct PoolRoutes: Sendable {
    let pool: ModelPool
    private let created = Int(Date().timeIntervalSince1970)
    private var parts: ServerParts { pool.loader.parts }

    init(_ pool: ModelPool) { self.pool = pool }

    /// A model that is not in memory.
    private struct Card: Encodable {
        var id: String
        var aliases: [String]
        var tags: [String]
        var object = "model"
        var created: Int
        var ownedBy = "morphkv"
        var status: ModelStatus
        var path: String
        var bytes: Int?
    }

    private enum AnyCard: Encodable {
        case loaded(InfoRoutes.ModelCard)
        case other(Card)

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .loaded(let card): try card.encode(to: encoder)
            case .other(let card): try card.encode(to: encoder)
            }
        }
    }

    private struct List: Encodable {
        var object = "list"
        var data: [AnyCard]
    }

    private func card(_ entry: ModelEntry) -> AnyCard {
        if let model = entry.state.model {
            var card = model.info.card
            (card.status, card.path, card.bytes) = (entry.status, entry.file.url.lastPathComponent, entry.bytes)
            return .loaded(card)
        }
        return .other(
            Card(
                id: entry.file.name, aliases: [entry.file.name], tags: pool.loader.configuration.modelTags,
                created: created, status: entry.status, path: entry.file.url.lastPathComponent, bytes: entry.bytes))
    }

    func models() async throws -> Response { try json(List(data: await pool.all.map(card))) }

    func model(_ name: String) async throws -> Response { try json(card(await pool.entry(name))) }

    // MARK: Loading and unloading

    private struct Named: Decodable, Sendable {
        var model: String
    }

    private func name(_ request: Request) async throws -> String {
        try await parts.reader.understand(request) { try Coding.decode(Named.self, from: $0).model }
    }

    func load(_ request: Request) async throws -> Response {
        try await pool.requestLoad(name(request))
        return try json(["success": true])
    }

    func unload(_ request: Request) async throws -> Response {
        try await pool.requestUnload(name(request))
        return try json(["success": true])
    }

    // MARK: The state of the server

    /// What llama-server's router says where no model is named.
    func properties() async throws -> Response {
        let configuration = pool.loader.configuration
        let json: JSONValue = [
            "role": "router", "max_instances": .int(await pool.all.count), "models_autoload": true,
            "model_alias": .string("morphkv"), "model_path": "", "endpoint_slots": .bool(configuration.servesSlots),
            "endpoint_props": false, "endpoint_metrics": .bool(configuration.servesMetrics),
            "build_info": .string(PackageVersion.fingerprint),
        ]
        return try self.json(json)
    }

    func health() throws -> Response {
        let state = parts.readiness.state
        return try json(["status": state.rawValue], status: state == .ready ? .ok : .serviceUnavailable)
    }

    func metrics() async throws -> Response {
        guard pool.loader.configuration.servesMetrics else { throw APIError.notBuilt(InfoRoutes.noMetrics) }
        let text = MetricsText(await pool.all, waiting: await pool.waiting, parts.announced.memory).text
        return InfoRoutes.metrics(text, since: created)
    }

    private func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: try Coding.encode(value)))
    }
}
#endif
