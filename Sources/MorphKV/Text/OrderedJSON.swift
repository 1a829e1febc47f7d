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
        guard Nesting.depth(of: json) <= Grammar.mostDepth else {
            throw GenerationError(.grammar, "it is nested more than \(Grammar.mostDepth) deep")
        }
        let keys = path.map { strdup($0) }
        defer { keys.forEach { free($0) } }
        var reason: UnsafeMutablePointer<CChar>?
        let text = String(decoding: json, as: UTF8.self)
        let member = keys.map { UnsafePointer($0) }.withUnsafeBufferPointer {
            llama_common_json_member(text, $0.baseAddress, $0.count, &reason)
        }
        guard let member else {
            throw GenerationError(.grammar, "'\(path.joined(separator: "."))' is missing: \(Grammar.text(reason))")
        }
        defer { llama_common_free(member) }
        return String(cString: member)
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
