// The published scorers are Python programs, so what counts as a space, a digit or a letter is what Python's `str`
// and `re` say. The rules are written once here; every metric uses them.
extension Unicode.Scalar {
    /// Whether `str.isspace` holds: what `str.split()`, `str.strip()` and `\s` treat as white space.
    ///
    /// This is not Unicode's White_Space property: Python adds the four information separators.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
            true
        default: false
        }
    }

    /// Whether `\d` matches: a decimal digit of any script.
    var isPythonDigit: Bool {
        isASCII ? isASCIIDigit : properties.numericType == .decimal
    }

    /// Whether `\w` matches: a letter, anything with a numeric value, or the underscore. Combining marks are not.
    var isPythonWord: Bool {
        if isASCII { return isASCIILetter || isASCIIDigit || self == "_" }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
        default: return properties.numericType != nil
        }
    }

    /// Whether the scalar is one of A-Z and a-z.
    var isASCIILetter: Bool { ("a"..."z").contains(self) || ("A"..."Z").contains(self) }

    /// Whether the scalar is one of 0-9.
    var isASCIIDigit: Bool { ("0"..."9").contains(self) }

    /// Whether the scalar is one of Python's `string.punctuation`: every printable ASCII character that is neither
    /// a letter, a digit nor a space.
    var isASCIIPunctuation: Bool {
        ("!"..."~").contains(self) && !isASCIILetter && !isASCIIDigit
    }

    /// Whether the scalar is a CJK unified ideograph of the first block, `[\u4e00-\u9fff]`.
    var isChineseCharacter: Bool { (0x4E00...0x9FFF).contains(value) }
}
