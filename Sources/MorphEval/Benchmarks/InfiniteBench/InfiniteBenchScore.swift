internal import Foundation

/// The scores of `compute_scores.py`: what an answer is compared with may be a text, a number or a list, as files have it.
extension InfiniteBenchTask {
    /// The score of an answer, 0 to 1; nil where the published code fails.
    func score(_ answer: CodePoints, _ label: JSONValue) -> Double? {
        let texts = (label.elements ?? [label]).compactMap(\.text).map(CodePoints.init(_:))
        switch self {
        case .passkey, .numberString:
            return texts.first.map { $0 == Self.firstDigits(answer) ? 1 : 0 }
        case .keyValues:
            // Some copies of the files have the value in a list, in which the published code finds nothing.
            return texts.first.map { answer.blanking("\n:\"'.,?!{}").words().contains($0) ? 1 : 0 }
        case .dialogue:
            return texts.first.map { name in
                answer.blanking("\n:\"'.,?!{}").words().contains { $0.uppercased() == name } ? 1 : 0
            }
        case .summary: return texts.map { RougeLsum.score(prediction: answer, reference: $0) }.max()
        case .choice: return Self.chooses(answer, texts) ? 1 : 0
        case .question:
            let words = answer.normalizedAnswer().words()
            return texts.map { TokenF1.score(words, $0.normalizedAnswer().words()) }.max() ?? 0
        case .chineseQuestion:
            let characters = answer.normalizedChineseAnswer().characters
            return texts.map { TokenF1.score(characters, $0.normalizedChineseAnswer().characters) }.max() ?? 0
        case .find: return Self.finds(answer, label.elements?.first ?? label)
        case .calculation: return Self.calculated(answer, label)
        case .codeRun:
            guard let value = answer.trimmed().blanking("\n.`'\":").words().last?.pythonInteger else { return 0 }
            return (label.elements?.first ?? label).double == Double(value) ? 1 : 0
        case .codeDebug:
            guard texts.count >= 2 else { return nil }
            return Self.debugs(answer.trimmed(), function: texts[0], letter: texts[1]) ? 1 : 0
        }
    }

    /// The first run of the digits 0 to 9; empty if there is none.
    private static func firstDigits(_ text: CodePoints) -> CodePoints { text.asciiDigitRuns().first ?? "" }

    private static func finds(_ answer: CodePoints, _ label: JSONValue) -> Double? {
        guard let wanted = label.double else { return nil }
        let scalars = answer.scalars
        guard let start = scalars.firstIndex(where: \.isPythonDigit) else { return 0 }
        let whole = scalars[start...].prefix(while: \.isPythonDigit)
        let rest = scalars[whole.endIndex...]
        let fraction = rest.first == "." ? CodePoints(slice: rest.dropFirst().prefix(while: \.isPythonDigit)) : ""
        guard case .integer = label else {
            let text = CodePoints(slice: whole).asciiDigits + "." + fraction.asciiDigits
            return Double(fraction.isEmpty ? CodePoints(slice: whole).asciiDigits : text) == wanted ? 1 : 0
        }
        // A whole number is wanted, and the published code reads none out of "1.5".
        guard fraction.isEmpty else { return nil }
        return CodePoints(slice: whole).integer.map(Double.init) == wanted ? 1 : 0
    }

    /// The share of the values that are right before the first wrong one.
    private static func calculated(_ answer: CodePoints, _ label: JSONValue) -> Double? {
        guard var values = label.elements, !values.isEmpty else { return nil }
        if let nested = values[0].elements { values = nested }
        let right = zip(values, answer.asciiDigitRuns()).prefix { wanted, found in
            found.integer.map { Double($0) == wanted.double } ?? false
        }
        return values.isEmpty ? nil : Double(right.count) / Double(values.count)
    }

    private static func chooses(_ answer: CodePoints, _ label: [CodePoints]) -> Bool {
        let text = answer.trimmed()
        guard let first = text.scalars.first else { return false }
        if ("A"..."D").contains(first) { return label.contains(CodePoints(scalars: [first])) }
        if label.contains(text) { return true }
        let plain = text.blanking("\n\"'.,?!{}").collapsingSpaces()
        if let rest = plain.after(["answer is:", "answer:", "answer is", "option is"]) {
            return rest.map { rest in label.contains { rest.scalars.starts(with: $0.scalars) } } ?? false
        }
        // As the published code has it, the first word that is a part of "ABCD" decides.
        let letters: CodePoints = "ABCD"
        return plain.words().first { letters.contains($0) }.map(label.contains) ?? false
    }

    private static func debugs(_ answer: CodePoints, function: CodePoints, letter: CodePoints) -> Bool {
        let beginning = CodePoints(slice: answer.scalars.prefix(2))
        for end: Unicode.Scalar in [".", ":"] where beginning == CodePoints(scalars: letter.scalars + [end]) {
            return true
        }
        let plain = answer.blanking("\n`'\"-*").replacing("Option", with: " ").replacing("option", with: " ")
            .collapsingSpaces()
        guard let rest = plain.after(["answer is:", "is:", "answer:", "correct option is:"]) ?? nil else {
            return false
        }
        return [letter, function].contains { rest.scalars.starts(with: $0.scalars) }
    }
}

extension CodePoints {
    /// The text with each of some code points replaced by a space.
    fileprivate func blanking(_ marks: String) -> CodePoints {
        let marks = Set(marks.unicodeScalars)
        return CodePoints(scalars: scalars.map { marks.contains($0) ? " " : $0 })
    }

    /// The text with one space for each run of spaces.
    fileprivate func collapsingSpaces() -> CodePoints {
        var last: Unicode.Scalar?
        return removing { scalar in
            defer { last = scalar }
            return scalar == " " && last == " "
        }
    }

    /// What follows the first of some prefixes that occurs, and the character behind it; nil if none occurs, and a nil in it if
    /// there is no such character.
    fileprivate func after(_ prefixes: [CodePoints]) -> CodePoints?? {
        for prefix in prefixes {
            guard let found = firstRange(of: prefix, from: scalars.startIndex) else { continue }
            let rest = scalars[found.upperBound...]
            return .some(rest.isEmpty ? nil : CodePoints(slice: rest.dropFirst()))
        }
        return nil
    }

    /// `re.split("[^0-9]", text)` without its empty pieces.
    fileprivate func asciiDigitRuns() -> [CodePoints] {
        scalars.split { !$0.isASCIIDigit }.map(CodePoints.init(slice:))
    }

    /// Decimal digits of any script as those from 0 to 9.
    fileprivate var asciiDigits: String { scalars.map { "\(Int($0.properties.numericValue ?? 0))" }.joined() }

    /// `str.upper()`: the full upper-case mapping of each code point.
    fileprivate func uppercased() -> CodePoints {
        CodePoints(scalars: scalars.flatMap { $0.properties.uppercaseMapping.unicodeScalars })
    }

    /// Each code point as a text.
    fileprivate var characters: [CodePoints] { scalars.map { CodePoints(scalars: [$0]) } }

    /// `int(text)`: decimal digits of any script, single underscores between them, and a sign, if it fits.
    fileprivate var pythonInteger: Int? {
        let sign = scalars.first.flatMap { ["-": -1, "+": 1][$0] }
        let pieces = CodePoints(slice: sign == nil ? scalars : scalars.dropFirst()).split(separator: "_")
        guard pieces.allSatisfy({ !$0.isEmpty }) else { return nil }
        return CodePoints(scalars: pieces.flatMap(\.scalars)).integer.map { $0 * (sign ?? 1) }
    }
}
