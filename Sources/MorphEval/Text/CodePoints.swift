/// A text as Python sees it: a sequence of Unicode code points.
///
/// Swift compares strings by grapheme clusters and canonical equivalence ("\r\n" is one character, "e" with a combining
/// accent equals "é"); the published scorers compare code points. Every metric works on this type, so no comparison
/// can slip back to Swift's.
struct CodePoints: Hashable, Sendable {
    var scalars: ArraySlice<Unicode.Scalar>

    init(_ text: String) { scalars = ArraySlice(text.unicodeScalars) }
    init(scalars: some Sequence<Unicode.Scalar>) { self.scalars = ArraySlice(scalars) }
    init(slice: ArraySlice<Unicode.Scalar>) { scalars = slice }

    var count: Int { scalars.count }
    var isEmpty: Bool { scalars.isEmpty }

    /// The text as a Swift string.
    var string: String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}

extension CodePoints: ExpressibleByStringLiteral {
    init(stringLiteral text: String) { self.init(text) }
}

// MARK: - Splitting

extension CodePoints {
    /// `str.split()`: the pieces between runs of white space; never an empty one.
    func words() -> [CodePoints] {
        scalars.split(whereSeparator: \.isPythonSpace).map(CodePoints.init(slice:))
    }

    /// `str.split(separator)`: the pieces between the occurrences of `separator`, empty ones included.
    func split(separator: CodePoints) -> [CodePoints] {
        var pieces: [CodePoints] = []
        var start = scalars.startIndex
        while let found = firstRange(of: separator, from: start) {
            pieces.append(CodePoints(slice: scalars[start..<found.lowerBound]))
            start = found.upperBound
        }
        pieces.append(CodePoints(slice: scalars[start...]))
        return pieces
    }

    /// `str.strip()`: without white space at both ends.
    func trimmed() -> CodePoints {
        guard let first = scalars.firstIndex(where: { !$0.isPythonSpace }),
            let last = scalars.lastIndex(where: { !$0.isPythonSpace })
        else { return CodePoints(slice: []) }
        return CodePoints(slice: scalars[first...last])
    }

    /// `str.lstrip("\n").split("\n")[0]`: the first line after any leading newlines.
    var firstLine: CodePoints {
        let rest = scalars.drop { $0 == "\n" }
        return CodePoints(slice: rest.prefix { $0 != "\n" })
    }
}

// MARK: - Searching

extension CodePoints {
    /// Whether `other` occurs in the text, as `other in text`; the empty text occurs everywhere.
    func contains(_ other: CodePoints) -> Bool {
        firstRange(of: other, from: scalars.startIndex) != nil
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool { scalars.contains(scalar) }

    /// The first occurrence of `other` at or after `start`.
    func firstRange(of other: CodePoints, from start: Int) -> Range<Int>? {
        guard let first = other.scalars.first else { return start..<start }
        var position = start
        while let found = scalars[position...].firstIndex(of: first) {
            guard scalars.endIndex - found >= other.count else { return nil }
            if scalars[found..<found + other.count].elementsEqual(other.scalars) { return found..<found + other.count }
            position = found + 1
        }
        return nil
    }

    /// `re.findall(r"\d+", text)`: the maximal runs of decimal digits.
    func digitRuns() -> [CodePoints] {
        scalars.split { !$0.isPythonDigit }.map(CodePoints.init(slice:))
    }

    /// The digits of the first match of `prefix(\d+)`.
    func firstNumber(after prefix: CodePoints) -> CodePoints? {
        var position = scalars.startIndex
        while let found = firstRange(of: prefix, from: position) {
            let digits = scalars[found.upperBound...].prefix(while: \.isPythonDigit)
            if !digits.isEmpty { return CodePoints(slice: digits) }
            position = found.lowerBound + 1
        }
        return nil
    }

    /// `int(text)` of decimal digits of any script, if it fits.
    var integer: Int? {
        guard !isEmpty else { return nil }
        var value = 0
        for scalar in scalars {
            guard let digit = scalar.properties.numericValue, scalar.isPythonDigit else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }
}

// MARK: - Changing

extension CodePoints {
    /// `separator.join(pieces)`.
    static func joined(_ pieces: [CodePoints], separator: Unicode.Scalar = " ") -> CodePoints {
        CodePoints(slice: ArraySlice(pieces.map(\.scalars).joined(separator: CollectionOfOne(separator))))
    }

    /// `str.lower()`: the full lower-case mapping of each code point, with the one rule of Unicode that looks at the
    /// surroundings, a capital sigma at the end of a word.
    func lowercased() -> CodePoints {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(count)
        for index in scalars.indices {
            let scalar = scalars[index]
            if scalar.isASCII {
                let isUpper = ("A"..."Z").contains(scalar)
                result.append(isUpper ? Unicode.Scalar(UInt8(scalar.value) + 32) : scalar)
            } else if scalar == "\u{3A3}" {
                result.append(isFinalSigma(at: index) ? "\u{3C2}" : "\u{3C3}")
            } else {
                result.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
            }
        }
        return CodePoints(slice: ArraySlice(result))
    }

    /// Final_Sigma of the Unicode Standard: a cased letter before and none after, skipping case-ignorable ones.
    private func isFinalSigma(at index: Int) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    /// `str.replace`.
    func replacing(_ old: CodePoints, with new: CodePoints) -> CodePoints {
        CodePoints(slice: ArraySlice(split(separator: old).map(\.scalars).joined(separator: new.scalars)))
    }

    /// The text without the code points that `isExcluded` names.
    func removing(_ isExcluded: (Unicode.Scalar) -> Bool) -> CodePoints {
        CodePoints(slice: ArraySlice(scalars.filter { !isExcluded($0) }))
    }
}
