internal import CLlamaCommon
internal import Foundation

/// JSON whose members keep their order, which a schema's answers follow.
package enum OrderedJSON {
    /// A member of an object, as JSON again.
    ///
    /// - Parameters:
    ///   - json: an object.
    ///   - path: the keys on the way to it, and numbers of items in lists.
    /// - Throws: ``GenerationError`` of kind `grammar` if it is not there, or nested deeper than ``Grammar/mostDepth``.
    package static func member(of json: some Collection<UInt8>, at path: [String]) throws -> String {
        try find(in: json, at: path, llama_common_json_member)
    }

    /// The items of a list, each as JSON again; errors are those of ``member(of:at:)``.
    package static func items(of json: some Collection<UInt8>, at path: [String]) throws -> [String] {
        let texts = try find(in: json, at: path, llama_common_json_items)
        return try JSONDecoder().decode([String].self, from: Data(texts.utf8))
    }

    private typealias Search = (
        UnsafePointer<CChar>?, UnsafePointer<UnsafePointer<CChar>?>?, Int,
        UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> UnsafeMutablePointer<CChar>?

    private static func find(
        in json: some Collection<UInt8>, at path: [String], _ search: Search
    ) throws -> String {
        guard Nesting.depth(of: json) <= Grammar.mostDepth else {
            throw GenerationError(.grammar, "it is nested more than \(Grammar.mostDepth) deep")
        }
        let keys = path.map { strdup($0) }
        defer { keys.forEach { free($0) } }
        var reason: UnsafeMutablePointer<CChar>?
        let text = String(decoding: json, as: UTF8.self)
        let found = keys.map { UnsafePointer($0) }.withUnsafeBufferPointer { keys in
            text.withCString { search($0, keys.baseAddress, keys.count, &reason) }
        }
        guard let found else {
            throw GenerationError(.grammar, "'\(path.joined(separator: "."))' is missing: \(Grammar.text(reason))")
        }
        defer { llama_common_free(found) }
        return String(cString: found)
    }
}

/// How deep brackets are nested, for what is read by recursion.
enum Nesting {
    /// The depth of parentheses, brackets and braces outside of strings in double quotes.
    static func depth(of text: some Sequence<UInt8>) -> Int {
        var (depth, deepest) = (0, 0)
        var (isQuoted, isEscaped) = (false, false)
        for byte in text {
            switch byte {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\"): isEscaped = true
            case UInt8(ascii: "\""): isQuoted.toggle()
            case _ where isQuoted: break
            case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                deepest = max(deepest, depth)
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
        return deepest
    }
}
