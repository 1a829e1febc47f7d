public import Foundation

/// A text that requests can name, and what becomes of it.
public struct ServedContext: Sendable, Hashable {
    /// How far it is.
    public enum State: Sendable, Hashable {
        /// Other texts are compressed before it.
        case waiting
        /// The model reads it; the share that is done, 0 to 1, and seconds so far.
        case compressing(fraction: Double, seconds: Double)
        /// Requests can follow it.
        case ready
        /// It could not be made, or read again; why, in one sentence.
        case failed(String)
    }

    /// What requests call it.
    public let name: String
    /// How far it is.
    public let state: State
    /// Tokens of the text, with what comes before it.
    public let tokens: Int
    /// Bytes that it takes while it is in memory; 0 before it is ready.
    public let bytes: Int
    /// The share of the text's entries that was asked for, and once it is ready, the share of the whole text's bytes.
    public let ratio: Double
    /// Sequences that wait or are computed behind it.
    public let uses: Int
    /// Whether it is in memory now.
    public let isResident: Bool
    /// Whether it was given at the start, so that it stays.
    public let isPermanent: Bool

    /// Whether a text may have a name: letters, digits, `.`, `_` and `-`, 64 at most, and no `.` at the beginning.
    public static func isValid(name: String) -> Bool {
        name.wholeMatch(of: /[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}/) != nil
    }
}

/// Texts that are compressed while a scheduler runs, and kept in files.
public struct ContextFolder: Sendable, Hashable {
    /// Where the files are.
    public var url: URL
    /// Bytes of contexts that are in memory at a time, at most.
    public var bytes: Int
    /// Tokens that a text may have, with what comes before it; memory for compressing so many is announced.
    public var tokens: Int

    /// Creates options.
    public init(_ url: URL, bytes: Int = 1 << 30, tokens: Int = 8192) {
        (self.url, self.bytes, self.tokens) = (url, bytes, tokens)
    }

    func validate() throws {
        guard bytes >= 1 else {
            throw ServingError(.invalidRequest, "\(bytes) bytes of contexts: 1 or more are needed")
        }
        guard (1...1 << 24).contains(tokens) else {
            throw ServingError(.invalidRequest, "texts of \(tokens) tokens: 1 to \(1 << 24) are possible")
        }
    }

    /// The file of a context.
    func file(_ name: String) -> URL { url.appendingPathComponent(name + ".gguf") }
}

/// How contexts take memory at present.
public struct ContextFigures: Sendable, Hashable {
    /// Contexts that requests can follow, those on disk included.
    public var ready = 0
    /// Those of them that are in memory.
    public var resident = 0
    /// Bytes of those in memory that can leave it.
    public var bytes = 0
    /// Texts that are being compressed: 0 or 1.
    public var compressing = 0
    /// Texts that wait for that.
    public var waiting = 0
}

/// A text for a context, as the model reads it.
public struct ContextText: Sendable {
    /// What requests will call it.
    public var name: String
    /// What comes before the text and is never cut, such as a system prompt.
    public var system: [Token]
    /// The text's tokens.
    public var document: [Token]
    /// The text itself, by which chats find it; nil if they do not.
    public var text: String?
    /// How much stays, chosen by what.
    public var compression: Compression

    /// Composes a text.
    public init(_ name: String, system: [Token], document: [Token], text: String?, compression: Compression) {
        (self.name, self.system, self.document, self.text) = (name, system, document, text)
        self.compression = compression
    }

    var tokens: Int { system.count + document.count }
}
