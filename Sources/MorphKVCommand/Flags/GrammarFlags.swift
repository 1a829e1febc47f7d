internal import ArgumentParser
internal import MorphKV

/// What the answer must look like.
struct GrammarFlags: ParsableArguments {
    @Option(help: "Answer in JSON that keeps to the JSON schema in this file.")
    var jsonSchema: String?

    @Option(help: "Answer in a text that keeps to the grammar in this file, in llama.cpp's notation GBNF.")
    var grammar: String?

    func validate() throws {
        if jsonSchema != nil, grammar != nil {
            throw ValidationError("--json-schema and --grammar do not go together")
        }
    }

    /// - Throws: `GenerationError` of kind `grammar` if the file's content gives none.
    func load(for model: Model) throws -> Grammar? {
        let loaded =
            try jsonSchema.map { try Grammar(jsonSchema: Input.text(ofFile: $0)) }
            ?? grammar.map { try Grammar(gbnf: Input.text(ofFile: $0)) }
        if let loaded, let tokenizer = model.tokenizer { try loaded.check(with: tokenizer) }
        return loaded
    }
}
