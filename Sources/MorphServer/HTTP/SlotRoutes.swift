#if Server
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MorphKV

/// `/props` and `/slots`: what llama-server's clients ask of it, and slots on disk.
struct SlotRoutes: Sendable {
    let scheduler: Scheduler
    let configuration: ServerConfiguration
    let reader: RequestReader
    let chatTemplate: String

    /// Tokens that a sequence can have, as llama-server counts them: with caches that never fill up, those that the model was
    /// trained with.
    private var contextLength: Int {
        let options = scheduler.options
        let grows = scheduler.maxTokens(afterPrompt: options.tokensPerSequence) < options.maxTokens
        return grows ? options.tokensPerSequence : scheduler.model.description.contextLength
    }

    func properties() throws -> Response {
        let defaults = configuration.sampling
        let sampling = SamplingOptions(
            temperature: defaults.temperature ?? 0.8, topK: defaults.topK ?? 40, topP: defaults.topP ?? 0.95,
            minP: defaults.minP ?? 0.05, seed: defaults.seed ?? .max)
        let settings = NativeSettings(sampling: sampling, maxTokens: configuration.defaultMaxTokens ?? -1)
        let name = configuration.modelFile ?? configuration.modelName
        return try Response.json([
            "default_generation_settings": [
                "n_ctx": .int(contextLength), "params": settings.json, "is_processing": false,
            ],
            "total_slots": .int(scheduler.slots.count), "model_alias": .string(configuration.modelName),
            "model_path": .string(name), "modalities": ["vision": false, "audio": false],
            "chat_template": .string(chatTemplate), "endpoint_slots": .bool(configuration.servesSlots),
            "endpoint_props": false, "endpoint_metrics": .bool(configuration.servesMetrics), "is_sleeping": false,
            "build_info": .string(PackageVersion.fingerprint),
        ])
    }

    func slots(_ request: Request) throws -> Response {
        guard configuration.servesSlots else {
            throw APIError.notBuilt("slots to show: it was started with --no-slots")
        }
        let slots = scheduler.slots
        if request.uri.queryParameters["fail_on_no_slot"] != nil, slots.allSatisfy(\.isProcessing) {
            throw APIError(
                status: .serviceUnavailable, message: "no slot is free", type: "unavailable_error")
        }
        return try Response.json(
            .array(
                slots.map { slot in
                    var members: [String: JSONValue] = [
                        "id": .int(slot.id), "n_ctx": .int(contextLength), "speculative": false,
                        "is_processing": .bool(slot.isProcessing), "n_tokens": .int(slot.tokens),
                    ]
                    if slot.isProcessing {
                        members["n_prompt_tokens"] = .int(slot.promptTokens)
                        members["next_token"] = [["n_decoded": .int(slot.generated)]]
                    }
                    return .object(members)
                }))
    }

    // MARK: On disk

    private struct SlotFile: Decodable, Sendable {
        var filename: String
    }

    func act(_ request: Request, _ id: String) async throws -> Response {
        guard let slot = Int(id), scheduler.slots.indices.contains(slot) else {
            throw APIError.invalid("there is no slot '\(id.prefix(20))'", param: "id_slot")
        }
        let clock = ContinuousClock()
        let start = clock.now
        func milliseconds() -> JSONValue { .double((clock.now - start) / .milliseconds(1)) }
        switch request.uri.queryParameters["action"].map({ String($0) }) {
        case "save":
            let file = try await file(request)
            let saved = try await scheduler.saveSlot(slot, to: file)
            return try Response.json([
                "id_slot": .int(slot), "filename": .string(file.lastPathComponent), "n_saved": .int(saved.tokens),
                "n_written": .int(saved.bytes), "timings": ["save_ms": milliseconds()],
            ])
        case "restore":
            let file = try await file(request)
            guard FileManager.default.fileExists(atPath: file.path) else {
                throw APIError.notFound("there is no file '\(file.lastPathComponent)'", param: "filename")
            }
            let read = try await scheduler.restoreSlot(slot, from: file)
            return try Response.json([
                "id_slot": .int(slot), "filename": .string(file.lastPathComponent), "n_restored": .int(read.tokens),
                "n_read": .int(read.bytes), "timings": ["restore_ms": milliseconds()],
            ])
        case "erase":
            return try Response.json(["id_slot": .int(slot), "n_erased": .int(try await scheduler.eraseSlot(slot))])
        default: throw APIError.invalid("'action' is one of save, restore and erase", param: "action")
        }
    }

    /// The file that a request names, in the one folder of such files.
    private func file(_ request: Request) async throws -> URL {
        guard let folder = configuration.slotFolder else {
            throw APIError.notBuilt("slots on disk: it was started without --slot-save-path")
        }
        let name = try await reader.understand(request) { try Coding.decode(SlotFile.self, from: $0).filename }
        guard name.wholeMatch(of: /[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}/) != nil else {
            throw APIError.invalid(
                "'filename' has letters, digits, '.', '_' and '-', and does not begin with '.'", param: "filename")
        }
        return folder.appendingPathComponent(name)
    }
}
#endif
