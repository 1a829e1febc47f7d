internal import Foundation

/// A file of comma-separated values with a header: fields may stand in quotes, in which a quote is doubled and lines go on.
struct CommaSeparatedFile {
    /// The names of the columns.
    let header: [String]
    /// The rows, each with a text for each column.
    let rows: [[String: String]]

    /// - Throws: ``EvaluationError`` that names the file, and the row if one has too few or too many fields.
    init(_ url: URL) throws {
        guard let data = try? Data(contentsOf: url), let text = String(data: data, encoding: .utf8) else {
            throw EvaluationError(.file, file: url, "it cannot be read as text")
        }
        let records = Self.records(
            text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text)
        guard let header = records.first else { throw EvaluationError(.format, file: url, "it has no header") }
        self.header = header
        rows = try records.dropFirst().enumerated().map { index, fields in
            guard fields.count == header.count else {
                throw EvaluationError(
                    .format, file: url, element: index + 1,
                    "it has \(fields.count) fields where the header has \(header.count)")
            }
            return Dictionary(zip(header, fields)) { first, _ in first }
        }
    }

    private static func records(_ text: String) -> [[String]] {
        var (records, fields, field) = ([[String]](), [String](), String.UnicodeScalarView())
        var isQuoted = false
        var rest = text.unicodeScalars[...]
        func endRecord() {
            fields.append(String(field))
            field = String.UnicodeScalarView()
            if fields != [""] { records.append(fields) }
            fields = []
        }
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"" where isQuoted && rest.first == "\"":
                field.append(scalar)
                rest.removeFirst()
            case "\"" where isQuoted || field.isEmpty: isQuoted.toggle()
            case "," where !isQuoted:
                fields.append(String(field))
                field = String.UnicodeScalarView()
            case "\r" where !isQuoted && rest.first == "\n": break
            case "\n" where !isQuoted, "\r" where !isQuoted: endRecord()
            default: field.append(scalar)
            }
        }
        if !field.isEmpty || !fields.isEmpty { endRecord() }
        return records
    }
}
