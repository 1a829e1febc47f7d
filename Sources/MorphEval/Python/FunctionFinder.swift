/// Finds functions in source code.
public protocol FunctionFinder: Sendable {
    /// For each list of code blocks, the first function of the first block that has one.
    func firstFunctions(in blocks: [[String]], language: String) async throws -> [String?]
}

/// tree-sitter with the grammars of the Python package tree_sitter_languages 1.10.2, as KVzip uses them.
public struct TreeSitterFunctionFinder: FunctionFinder {
    private let helper: PythonHelper

    /// Creates a finder; the interpreter is chosen as for ``JiebaSegmenter``.
    public init(interpreter: String? = nil) {
        helper = PythonHelper(
            interpreter: interpreter ?? PythonHelper.defaultInterpreter, program: Self.program,
            requirement: "tree-sitter==0.21.3 tree-sitter-languages==1.10.2")
    }

    /// The first function of each list of code blocks; Python is started only if there is a block at all.
    public func firstFunctions(in blocks: [[String]], language: String) async throws -> [String?] {
        guard let query = Self.queries[language] else {
            let known = Self.queries.keys.sorted().joined(separator: ", ")
            throw EvaluationError(.name, "the language '\(language)' is not one of \(known)")
        }
        guard blocks.contains(where: { !$0.isEmpty }) else { return Array(repeating: nil, count: blocks.count) }
        return try await helper.run(Request(language: language, query: query, blocks: blocks), as: [String?].self)
    }

    private struct Request: Encodable {
        let language: String
        let query: String
        let blocks: [[String]]
    }

    /// What a function is in each language of RepoQA, as a tree-sitter query.
    private static let queries = [
        "python": "(function_definition name: (_)) @fdef",
        "java": "(method_declaration name: (_)) @fdef",
        "typescript": "(function_declaration name: (_)) @fdef",
        "rust": "(function_item name: (_)) @fdef",
        "cpp": "(function_definition declarator: (function_declarator declarator: (identifier))) @fdef",
        "go": "(function_declaration name: (_)) @fdef",
    ]

    private static let program = """
        import json, sys, warnings
        warnings.simplefilter("ignore")
        from tree_sitter_languages import get_language, get_parser
        request = json.load(open(sys.argv[1], "rb"))
        parser = get_parser(request["language"])
        query = get_language(request["language"]).query(request["query"])
        def first(blocks):
            for block in blocks:
                source = block.encode()
                for node, _ in query.captures(parser.parse(source).root_node):
                    try:
                        return source[node.start_byte:node.end_byte].decode()
                    except UnicodeDecodeError:
                        break
            return None
        json.dump([first(blocks) for blocks in request["blocks"]], sys.stdout)
        """
}
