/// A prompt with named gaps in braces, as Python's `str.format` fills it: `{name}` is a gap, `{{` and `}}` are braces.
struct PromptTemplate: Sendable, Hashable {
    private enum Part: Sendable, Hashable {
        case text(String)
        case gap(String)
    }

    private var parts: [Part] = []

    init(_ template: String) throws {
        var text = String.UnicodeScalarView()
        var rest = template.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar != "{", scalar != "}" {
                text.append(scalar)
            } else if rest.first == scalar {
                text.append(scalar)
                rest.removeFirst()
            } else {
                guard scalar == "{", let end = rest.firstIndex(of: "}") else {
                    throw EvaluationError(.format, "a brace of the prompt '\(template.prefix(40))…' has no counterpart")
                }
                parts += [.text(String(text)), .gap(String(rest[..<end]))]
                text = String.UnicodeScalarView()
                rest = rest[rest.index(after: end)...]
            }
        }
        parts.append(.text(String(text)))
    }

    /// The prompt with every gap filled.
    func filled(with values: [String: String]) throws -> String {
        try parts.reduce(into: "") { prompt, part in
            switch part {
            case .text(let text): prompt += text
            case .gap(let name):
                guard let value = values[name] else {
                    throw EvaluationError(.format, "a prompt asks for '\(name)', which samples do not have")
                }
                prompt += value
            }
        }
    }
}
