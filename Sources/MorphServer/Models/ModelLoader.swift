#if Server
internal import CAllocator
internal import Foundation
internal import Logging
internal import MorphKV

/// Brings models into memory and takes them out again, one at a time, on a thread of its own.
struct ModelLoader: Sendable {
    let folder: ModelFolder
    let configuration: ServerConfiguration
    let parts: ServerParts
    private let worker = Worker("morphkv.models")

    init(_ folder: ModelFolder, _ configuration: ServerConfiguration, _ parts: ServerParts) {
        self.folder = folder
        self.configuration = configuration
        self.parts = parts
    }

    /// The models that there are.
    ///
    /// - Throws: what the system says if the folder cannot be read.
    func files() throws -> [ModelFile] {
        let found = try ModelFile.all(in: folder.url)
        guard let usual = folder.usual.map({ ModelFile($0) }) else { return found }
        let url = usual.url.standardizedFileURL
        return found.filter { $0.name != usual.name && $0.url.standardizedFileURL != url } + [usual]
    }

    /// Bytes that a model takes at most.
    ///
    /// - Throws: what is wrong with its file, or with the options for it.
    func bytes(of file: ModelFile) async throws -> Int {
        try await worker.run {
            let reading = folder.reading
            let head = try file.headBytes()
            let outline = try Model(
                outlineOf: file.url, devices: reading.devices, split: reading.split,
                contextLength: reading.contextLength, repacks: reading.repacks)
            let options = try folder.options(outline)
            let plan = try ServingPlan(outline, options, headBytes: head)
            return plan.total + ServerMemory.savedSlot(configuration, plan.cachePerSequence)
                + ServerMemory.grammars(of: options.parallel)
        }
    }

    /// Reads a model and starts its scheduler.
    ///
    /// - Throws: what is wrong with the file, or that memory is short.
    func load(_ file: ModelFile) async throws -> ServedModel {
        try await worker.run {
            let reading = folder.reading
            let model = try Model(
                contentsOf: file.url, devices: reading.devices, split: reading.split,
                contextLength: reading.contextLength, repacks: reading.repacks)
            var own = configuration
            (own.modelName, own.modelFile, own.modelAliases) = (file.name, file.url.lastPathComponent, [])
            return try ServedModel(Scheduler(model, folder.options(model)), own, parts)
        }
    }

    /// Takes a model that nobody uses any more out of memory; it is really gone when this returns.
    func unload(_ leaving: LeavingModel) async {
        await leaving.stop()
        try? await worker.run { leaving.release() }
    }
}

/// The last reference to a model that is on its way out.
final class LeavingModel: @unchecked Sendable {
    // Sound: one task after the other has it.
    private var served: ServedModel?
    private var model: Model?

    init(_ served: ServedModel) {
        self.served = served
        model = served.scheduler.model
    }

    /// Ends the computing thread, and with it the caches.
    func stop() async { await served?.scheduler.stop() }

    /// Gives the memory back.
    func release() {
        served = nil
        // What has just answered may hold on to the model for a moment.
        while !isKnownUniquelyReferenced(&model) { usleep(1000) }
        model = nil
        allocator_give_back()
    }
}
#endif
