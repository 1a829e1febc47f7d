package import Foundation
internal import Ggml

/// Slots of a scheduler as saved sessions: the memory is the slot's own, whatever the file says.
extension Engine {
    /// Writes a slot's sequence to a file; see ``Session/save(to:tokens:registry:)``.
    ///
    /// - Throws: ``ServingError`` if part of it lies elsewhere, `GgmlError` of kind `file` if the file cannot be written.
    package func saveSlot(_ tokens: [Token], to url: URL) throws {
        guard cache.context == nil, !cache.hasFrozenEntries else {
            throw ServingError(.invalidRequest, "a sequence with entries besides its slots cannot be saved here")
        }
        try save(to: url, tokens: tokens)
    }

    /// Reads a saved sequence into the engine's own cache, without more memory than that has.
    ///
    /// - Returns: the sequence's token ids.
    /// - Throws: ``SavedCacheError`` if the file is something else, damaged, newer, or made with another model;
    ///   ``ServingError`` if its cache is another than the engine's. The engine is then empty.
    package func restoreSlot(from url: URL) throws -> [Token] {
        clear()
        do {
            let reader = try CacheFileReader(url, .session, model)
            let tokens = try reader.load(into: self)
            guard tokens.count == seen else {
                throw reader.damaged("it has the ids of \(tokens.count) tokens; its sequence has \(seen)")
            }
            return tokens
        } catch let error as GgmlError {
            clear()
            throw ServingError(.invalidRequest, error.description)
        } catch {
            clear()
            throw error
        }
    }
}
