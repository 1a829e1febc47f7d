internal import Foundation

/// What a sequence still knows of its beginning, however much came after it.
package struct LongMemory: Sendable, Hashable, Codable {
    /// Tokens that were read after the beginning.
    package var position: Int
    /// Questions that were answered right.
    package var right: Int
    /// Questions that were asked.
    package var questions: Int
    /// Tokens that are pinned.
    package var pinned: Int

    /// Reads a beginning, then texts in turns, token by token, and asks all questions at each mark. Every question is put to a
    /// copy of the sequence, so that no question and no answer is part of what is read.
    ///
    /// - Parameters:
    ///   - options: what the sequence holds; made for pins if the beginning is pinned.
    ///   - beginning: what the questions are about.
    ///   - isPinned: whether none of it may be evicted.
    ///   - texts: what comes after it, again from the first after the last.
    ///   - marks: numbers of tokens after which questions are asked, ascending.
    ///   - progress: is told the tokens read now and then.
    ///   - reached: is told each mark's answers.
    /// - Throws: ``CacheError`` of kind `pins` if the beginning does not fit, of kind `emptyPrompt` if there is nothing to read;
    ///   what generating throws.
    package static func measure(
        _ model: Model, _ options: CacheOptions, beginning: [Token], isPinned: Bool, texts: [[Token]], marks: [Int],
        questions: [Recall.Question], threads: Int, progress: (Int) -> Void = { _ in },
        reached: (LongMemory) throws -> Void
    ) throws {
        let stream = texts.flatMap(\.self)
        guard !stream.isEmpty else { throw CacheError(.emptyPrompt, "there is no text to read") }
        // Copies of a cache that grows must not grow beyond it: it has room for any question and its answer, in bytes.
        let longest = questions.map { $0.question.utf8.count + $0.answer.utf8.count }.max() ?? 0
        let reserve = beginning.count + (marks.last ?? 0) + longest
        let engine = try Engine(model, options, threads: threads, reserve: reserve)
        let copy = try Engine(model, options, threads: threads, reserve: reserve)
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).gguf")
        defer { try? FileManager.default.removeItem(at: file) }
        if isPinned { try engine.cache.pin(PinnedPositions([beginning.indices])) }
        try engine.prefill(beginning)
        var position = 0
        for mark in marks {
            while position < mark {
                try engine.decode(stream[position % stream.count])
                position += 1
                if position % 1000 == 0 { progress(position) }
            }
            try engine.save(to: file, tokens: [])
            let right = try questions.filter { question in
                let reader = try CacheFileReader(file, .session, model)
                // Entries besides the slots come with the file; slots alone take no new memory.
                guard !engine.cache.hasFrozenEntries else {
                    return try reader.engine(.standard, threads: threads).answers(question)
                }
                copy.clear()
                _ = try reader.load(into: copy)
                return try copy.answers(question)
            }
            try reached(
                LongMemory(
                    position: mark, right: right.count, questions: questions.count,
                    pinned: engine.statistics.pinned))
        }
    }
}
