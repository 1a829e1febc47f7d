/// Whether two answers in LaTeX are the same but for notation, by the rules of `math_equivalence.py` of hendrycks/math.
enum MathNotation {
    /// Where a rule cannot be applied to either, the published code fails, and the answers are compared as they are.
    static func areEquivalent(_ left: CodePoints, _ right: CodePoints) -> Bool {
        guard let plainLeft = plain(left), let plainRight = plain(right) else { return left == right }
        return plainLeft == plainRight
    }

    /// What is left out, and what is written differently.
    private static let replacements: [(CodePoints, CodePoints)] = [
        ("\n", ""), ("\\!", ""), ("\\\\", "\\"), ("tfrac", "frac"), ("dfrac", "frac"), ("\\left", ""), ("\\right", ""),
        ("^{\\circ}", ""), ("^\\circ", ""), ("\\$", ""),
    ]

    /// The answer in one notation; nil where the published code fails.
    private static func plain(_ answer: CodePoints) -> CodePoints? {
        let written = replacements.reduce(answer) { $0.replacing($1.0, with: $1.1) }
        guard var text = withoutUnits(written) else { return nil }
        text = text.replacing("\\%", with: "").replacing(" .", with: " 0.").replacing("{.", with: "{0.")
        guard let first = text.scalars.first else { return text }
        if first == "." { text = CodePoints(scalars: "0".unicodeScalars + text.scalars) }
        guard let rooted = withBracedRoots(withoutVariable(text)) else { return nil }
        guard let fractions = withBracedFractions(rooted.removing { $0 == " " }) else { return nil }
        return fractionOfSlash(fractions == "0.5" ? "\\frac{1}{2}" : fractions)
    }

    /// Units follow as `\text{ ...`; more than one is an error.
    private static func withoutUnits(_ text: CodePoints) -> CodePoints? {
        let parts = text.split(separator: "\\text{ ")
        return parts.count <= 2 ? parts[0] : nil
    }

    /// `k = 3` is 3.
    private static func withoutVariable(_ text: CodePoints) -> CodePoints {
        let parts = text.split(separator: "=")
        return parts.count == 2 && parts[0].count <= 2 ? parts[1] : text
    }

    /// `\sqrt3` is `\sqrt{3}`.
    private static func withBracedRoots(_ text: CodePoints) -> CodePoints? {
        let parts = text.split(separator: "\\sqrt")
        var result = Array(parts[0].scalars)
        for part in parts.dropFirst() {
            guard let first = part.scalars.first else { return nil }
            result += "\\sqrt".unicodeScalars
            result += first == "{" ? Array(part.scalars) : ["{", first, "}"] + part.scalars.dropFirst()
        }
        return CodePoints(scalars: result)
    }

    /// `\frac12` is `\frac{1}{2}`.
    private static func withBracedFractions(_ text: CodePoints) -> CodePoints? {
        let parts = text.split(separator: "\\frac")
        var result = Array(parts[0].scalars)
        for part in parts.dropFirst() {
            guard let above = part.scalars.first else { return nil }
            result += "\\frac".unicodeScalars
            if above == "{" {
                result += part.scalars
                continue
            }
            let rest = part.scalars.dropFirst()
            guard let below = rest.first else { return text }
            result += ["{", above, "}"]
            result += below == "{" ? Array(rest) : ["{", below, "}"] + rest.dropFirst()
        }
        return CodePoints(scalars: result)
    }

    /// `3/4` of whole numbers is `\frac{3}{4}`.
    private static func fractionOfSlash(_ text: CodePoints) -> CodePoints {
        let parts = text.split(separator: "/")
        guard parts.count == 2, parts.allSatisfy(isWholeNumber) else { return text }
        let (above, below) = (Array(parts[0].scalars), Array(parts[1].scalars))
        return CodePoints(scalars: "\\frac{".unicodeScalars + above + "}{".unicodeScalars + below + "}".unicodeScalars)
    }

    /// Whether Python writes the number as it is written.
    private static func isWholeNumber(_ text: CodePoints) -> Bool {
        let digits = text.scalars.first == "-" ? text.scalars.dropFirst() : text.scalars
        guard let first = digits.first, digits.allSatisfy(\.isASCIIDigit) else { return false }
        return first != "0" || text.count == 1
    }
}
