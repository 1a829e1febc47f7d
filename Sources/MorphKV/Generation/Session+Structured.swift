internal import Foundation

/// A value that a model can be asked for: it says by a JSON schema what its JSON looks like.
///
/// ```swift
/// struct Weather: SchemaDecodable {
///     var city: String
///     var celsius: Double
///     static let jsonSchema = #"""
///         {"type": "object", "required": ["city", "celsius"],
///          "properties": {"city": {"type": "string"}, "celsius": {"type": "number"}}}
///         """#
/// }
/// let weather = try await session.generate("It is mild in Bonn: 14 degrees. As JSON: ", as: Weather.self)
/// ```
public protocol SchemaDecodable: Decodable, Sendable {
    /// A JSON schema of what can be decoded.
    static var jsonSchema: String { get }
}

extension Session {
    /// Asks for a value: the answer is JSON that keeps to its schema.
    ///
    /// - Parameters:
    ///   - prompt: what the answer follows.
    ///   - type: the value; its schema takes the place of the options' grammar.
    ///   - options: how long and how to answer.
    ///   - pin: which of the prompt's tokens are never evicted.
    /// - Throws: ``GenerationError`` of kind `grammar` if the schema gives no grammar or what was written cannot be decoded,
    ///   of kind `cutShort` if the answer was not complete after ``GenerationOptions/maxTokens``; else as
    ///   ``generate(_:options:pin:)``.
    public nonisolated func generate<Value: SchemaDecodable>(
        _ prompt: String, as type: Value.Type, options: GenerationOptions = .init(), pin: PromptPins = .none
    ) async throws -> Value {
        var options = options
        options.grammar = try Grammar(jsonSchema: type.jsonSchema)
        var text = ""
        var finish: Generation.FinishReason?
        for try await piece in generate(prompt, options: options, pin: pin) {
            text += piece.text
            finish = piece.finish
        }
        guard finish == .stop else {
            try Task.checkCancellation()
            throw GenerationError(.cutShort, "the answer was not complete after \(options.maxTokens) tokens")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch {
            throw GenerationError(.grammar, "\(type) cannot be decoded from what its schema allows: \(error)")
        }
    }
}
