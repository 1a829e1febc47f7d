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

    private func card(_ entry: ModelEntry) -> InfoRoutes.ModelCard {
        var card =
            entry.state.model?.info.card
            ?? InfoRoutes.ModelCard(
                id: entry.file.name, aliases: [entry.file.name], tags: pool.loader.configuration.modelTags,
                created: created)
        (card.status, card.path, card.bytes) = (entry.status, entry.file.url.lastPathComponent, entry.bytes)
        return card
    }

    func models() async throws -> Response { try Response.json(InfoRoutes.ModelList(data: await pool.all.map(card))) }

    func model(_ name: String) async throws -> Response { try Response.json(card(await pool.entry(name))) }

    // MARK: Loading and unloading

    private struct Named: Decodable, Sendable {
        var model: String
    }

    private func name(_ request: Request) async throws -> String {
        try await parts.reader.understand(request) { try Coding.decode(Named.self, from: $0).model }
    }

    func load(_ request: Request) async throws -> Response {
        try await pool.requestLoad(name(request))
        return try Response.json(["success": true])
    }

    func unload(_ request: Request) async throws -> Response {
        try await pool.requestUnload(name(request))
        return try Response.json(["success": true])
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
        return try Response.json(json)
    }

    func health() throws -> Response {
        let state = parts.readiness.state
        return try Response.json(["status": state.rawValue], status: state == .ready ? .ok : .serviceUnavailable)
    }

    func metrics() async throws -> Response {
        guard pool.loader.configuration.servesMetrics else { throw APIError.notBuilt(InfoRoutes.noMetrics) }
        let text = MetricsText(await pool.all, waiting: await pool.waiting, parts.announced.memory).text
        return InfoRoutes.metrics(text, since: created)
    }
}
#endif
