internal import Foundation

/// Whether the grammar that llama.cpp makes of a JSON schema holds everything that the schema demands: it passes over keywords
/// that it does not know.
struct SchemaCheck {
    /// The grammar of a schema, as llama.cpp makes it.
    let convert: (String) throws -> String

    /// What limits a value; other keywords only describe it.
    private static let limits: Set<String> = [
        "$ref", "$dynamicRef", "type", "const", "enum", "oneOf", "anyOf", "allOf", "not", "if", "then", "else",
        "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
        "maxProperties", "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties",
        "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains", "minContains", "maxContains",
        "minItems", "maxItems", "uniqueItems", "pattern", "minLength", "maxLength", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    ]

    /// - Throws: ``GenerationError`` of kind `grammar` naming a keyword that would be passed over.
    func run(_ schema: String) throws {
        // What is no JSON, llama.cpp says.
        guard let root = try? JSONSerialization.jsonObject(with: Data(schema.utf8)) as? [String: Any] else { return }
        try visit(root, "#")
        for definitions in ["$defs", "definitions"] { try visitAll(root[definitions], "#/\(definitions)") }
    }

    private func visit(_ schema: [String: Any], _ path: String) throws {
        let kept = try keywords(of: schema, path)
        if let lost = schema.keys.filter({ Self.limits.contains($0) && !kept.contains($0) }).min() {
            throw GenerationError(.grammar, "'\(lost)' at \(path) of the schema has no grammar beside the rest of it")
        }
        for keyword in ["properties", "oneOf", "anyOf", "allOf", "prefixItems"] where kept.contains(keyword) {
            try visitAll(schema[keyword], "\(path)/\(keyword)")
        }
        for keyword in ["items", "additionalProperties"] {
            if let child = schema[keyword] as? [String: Any] { try visit(child, "\(path)/\(keyword)") }
            if let children = schema[keyword] as? [Any] { try visitAll(children, "\(path)/\(keyword)") }
        }
    }

    private func visitAll(_ children: Any?, _ path: String) throws {
        let named = (children as? [String: Any])?.map { ($0.key, $0.value) }
        let numbered = (children as? [Any])?.enumerated().map { ("\($0.offset)", $0.element) }
        for (name, child) in named ?? numbered ?? [] {
            if let child = child as? [String: Any] { try visit(child, "\(path)/\(name)") }
        }
    }

    /// The keywords that have a part in the grammar, in the order in which llama.cpp looks for them.
    private func keywords(of schema: [String: Any], _ path: String) throws -> Set<String> {
        for keyword in ["$ref", "oneOf", "anyOf"] where schema[keyword] != nil { return [keyword] }
        for keyword in ["const", "enum"] where schema[keyword] != nil { return [keyword, "type"] }
        let types = schema["type"] as? [String] ?? (schema["type"] as? String).map { [$0] } ?? ["any"]
        // Of several types each has its own.
        return try types.reduce(into: ["type"]) { $0.formUnion(try keywords(of: schema, type: $1, path)) }
    }

    private func keywords(of schema: [String: Any], type: String, _ path: String) throws -> Set<String> {
        let isObject = schema["properties"] != nil || schema["additionalProperties"] != nil
        let isAll = schema["allOf"] != nil
        let items = schema["items"] ?? schema["prefixItems"]
        switch type {
        case "any" where isObject, "object" where isObject || !isAll:
            try checkRequired(schema, path)
            return ["properties", "required", "additionalProperties"]
        case "any" where isAll, "object" where isAll, "string" where isAll: return ["allOf"]
        case "any" where items != nil, "array":
            guard let tuple = items as? [Any] else { return ["items", "minItems", "maxItems"] }
            // A tuple has all of its items, and no more.
            let counts = ["minItems", "maxItems"].filter { schema[$0] as? Int == tuple.count }
            return Set(counts).union([schema["items"] == nil ? "prefixItems" : "items"])
        case "string", "any":
            guard let pattern = schema["pattern"] as? String else { return ["minLength", "maxLength"] }
            return try isKept(pattern) ? ["pattern"] : []
        case "integer": return ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
        default: return []
        }
    }

    private func checkRequired(_ schema: [String: Any], _ path: String) throws {
        let properties = schema["properties"] as? [String: Any] ?? [:]
        if let lost = (schema["required"] as? [String])?.first(where: { properties[$0] == nil }) {
            throw GenerationError(.grammar, "'\(lost)', required at \(path) of the schema, is none of its properties")
        }
    }

    /// llama.cpp takes any string for a pattern that it cannot express, and says so on standard error only.
    private func isKept(_ pattern: String) throws -> Bool {
        guard pattern.hasPrefix("^"), pattern.hasSuffix("$") else { return false }
        let quoted = String(decoding: try JSONEncoder().encode(pattern), as: UTF8.self)
        return try !convert(#"{"type": "string", "pattern": \#(quoted)}"#).contains("root ::= string\n")
    }
}
