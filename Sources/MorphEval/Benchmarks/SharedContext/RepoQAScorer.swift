/// KVzip's scoring of the SCBench tasks on source code: a response is right if, of all functions asked for in its
/// repository, the right one is the most similar, with a BLEU of at least 0.8 (`results/repo_qa_utils.py`, adapted from
/// evalplus/repoqa).
public struct RepoQAScorer: Sendable {
    /// The answer to one question about a repository.
    public struct Answer: Sendable, Hashable {
        /// What the model wrote.
        public var prediction: String
        /// The name of the function that was described.
        public var functionName: String

        /// Creates an answer.
        public init(prediction: String, functionName: String) {
            self.prediction = prediction
            self.functionName = functionName
        }
    }

    /// A function that is asked for.
    public struct Candidate: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Its source.
        public var source: String

        /// Creates a candidate.
        public init(name: String, source: String) {
            self.name = name
            self.source = source
        }
    }

    private let finder: any FunctionFinder

    /// Creates a scorer; the finder takes the function out of a code block.
    public init(finder: any FunctionFinder = TreeSitterFunctionFinder()) { self.finder = finder }

    /// The share of the non-empty answers that are right; 0 if all are empty.
    ///
    /// - Parameters:
    ///   - answers: The answers about one repository.
    ///   - candidates: Every function asked for in the repository.
    ///   - language: "python", "java", "typescript", "rust", "cpp" or "go".
    public func score(
        _ answers: [Answer], candidates: [Candidate], language: String
    ) async throws -> Double {
        let given = answers.compactMap { answer -> (Answer, CodePoints)? in
            let text = CodePoints(answer.prediction).withoutEndMark().trimmed()
            return text.isEmpty ? nil : (answer, text)
        }
        guard !given.isEmpty else { return 0 }
        let functions = try await sanitize(given.map(\.1), language: language)
        let targets = candidates.map { words(CodePoints($0.source)) }
        let right = zip(given, functions).count { given, function in
            let match = mostSimilar(words(function), to: targets)
            return match.similarity >= 0.8
                && match.index.map { CodePoints(candidates[$0].name) } == CodePoints(given.0.functionName)
        }
        return Double(right) / Double(given.count)
    }

    private func mostSimilar(
        _ words: [CodePoints], to targets: [[CodePoints]]
    ) -> (index: Int?, similarity: Double) {
        var best: (index: Int?, similarity: Double) = (nil, 0)
        for (index, target) in targets.enumerated() {
            let similarity = Bleu.score(words, target)
            if similarity > best.similarity { best = (index, similarity) }
        }
        return best
    }

    /// The first function of the code blocks of each response; without one, the first block; without a block, the
    /// response.
    private func sanitize(_ responses: [CodePoints], language: String) async throws -> [CodePoints] {
        let blocks = responses.map(CodeFence.blocks(of:))
        let found = try await finder.firstFunctions(in: blocks.map { $0.map(\.string) }, language: language)
        return zip(zip(responses, blocks), found).map { pair, function in
            function.map(CodePoints.init(_:)) ?? pair.1.first ?? pair.0
        }
    }

    /// `re.split("\s+", text.strip())`: one empty word for an empty text.
    private func words(_ text: CodePoints) -> [CodePoints] {
        let words = text.words()
        return words.isEmpty ? [""] : words
    }
}

/// The fenced code blocks of a response: the matches of ``^```(?:\w+)?\s*\n(.*?)(?=^```)``` `` with `.` matching
/// newlines and `^` after each of them.
enum CodeFence {
    static func blocks(of text: CodePoints) -> [CodePoints] {
        var blocks: [CodePoints] = []
        var position = text.scalars.startIndex
        while let open = fence(in: text, from: position) {
            guard let start = contentStart(in: text, after: open + 3), let close = fence(in: text, from: start) else {
                position = open + 1
                continue
            }
            blocks.append(CodePoints(slice: text.scalars[start..<close]))
            position = close + 3
        }
        return blocks
    }

    /// The first "```" at the start of a line, at or after `start`.
    private static func fence(in text: CodePoints, from start: Int) -> Int? {
        var position = start
        while let found = text.firstRange(of: "```", from: position) {
            let isLineStart =
                found.lowerBound == text.scalars.startIndex || text.scalars[found.lowerBound - 1] == "\n"
            if isLineStart { return found.lowerBound }
            position = found.lowerBound + 1
        }
        return nil
    }

    /// Where the content begins: after the language and the last newline of the white space behind it, since `\s*` is
    /// greedy.
    private static func contentStart(in text: CodePoints, after fence: Int) -> Int? {
        let language = text.scalars[fence...].prefix(while: \.isPythonWord)
        let space = text.scalars[language.endIndex...].prefix(while: \.isPythonSpace)
        return space.lastIndex(of: "\n").map { $0 + 1 }
    }
}
