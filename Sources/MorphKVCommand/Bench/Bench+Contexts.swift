internal import Foundation
internal import Ggml
internal import MorphKV

// Texts that are read once, and questions about them.

extension Bench {
    /// KVzip's scores of texts of some lengths against reading them.
    func scores(lengths: [Int]) throws -> [BenchmarkRow] {
        try lengths.map { length in
            progress("KVzip's scores of \(length) tokens")
            let text = tokens(length)
            let (context, engine) = (try context(text), try self.engine(FullPolicy(), reserve: length))
            var request: Token = 0
            let times = try compare(
                {
                    // Scores of a request are found once; each round makes another.
                    request += 1
                    let words = ReconstructionPrompt.Words.tokens(
                        tokens(7) + [request % Token(model.description.vocabularySize)])
                    let prompt = ReconstructionPrompt(first: words, next: words, postfix: .tokens(tokens(1)))
                    _ = try context.headScores(.reconstruction(prompt), threads: threads)
                },
                [
                    {
                        engine.clear()
                        try engine.prefill(text)
                    }
                ])
            let over = zip(times.ours, times.theirs!).map { $0 / $1 }.median
            return BenchmarkRow(
                "KVzip's scores of \(length) tokens", ours: times.ours, theirs: times.theirs!, unit: "s", scale: 1,
                note: String(format: "theirs: reading the text; scores take %.2f times as long", over))
        }
    }

    /// Texts of some lengths, each read once, and questions of 64 tokens about them: on a conversation's own cache, and on a
    /// context that questions share.
    func questions(lengths: [Int]) throws -> [BenchmarkRow] {
        let question = tokens(64, seed: 5)
        return try lengths.flatMap { length in
            progress("a question on \(length) tokens")
            let text = tokens(length)
            let room = length + (rounds + 1) * question.count
            let engine = try engine(FullPolicy(), reserve: room)
            let theirs = try baselines(context: room)
            let reading = try seconds { try engine.prefill(text) }
            let their = try theirs.map { baseline in try seconds { try baseline.prefill(text, at: 0) } }
            let fastest = their.indices.min { their[$0] < their[$1] }
            let read = measure(
                "reading \(length) tokens once",
                Times(ours: [reading], theirs: fastest.map { [their[$0]] }, fastest: fastest),
                unit: "tokens/s", scale: 1
            ).rates(of: length)
            let steps = try ContextSteps(context(text), threads: threads, reserve: question.count)
            let asked = try [
                ("after \(length) tokens", { try engine.prefill(question) }),
                (
                    "on a context of \(length) tokens",
                    {
                        steps.restart()
                        try steps.read(question)
                    }
                ),
            ].map { (name: String, ours: () throws -> Void) in
                let times = try compare(
                    ours,
                    theirs.map { baseline in
                        {
                            baseline.forget(length..<room, of: room)
                            try baseline.prefill(question, at: length)
                        }
                    })
                return measure("question of \(question.count) tokens \(name)", times, unit: "ms", scale: 1000)
            }
            return [read] + asked
        }
    }

    private func context(_ text: [Token]) throws -> CompressedContext {
        try CompressedContext(reading: text, model: model, options: cache.with(FullPolicy()), threads: threads)
    }
}
