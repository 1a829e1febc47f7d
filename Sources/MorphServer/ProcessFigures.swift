#if Server
internal import Foundation

/// What the operating system says about this process.
public struct ProcessFigures: Sendable {
    /// Bytes of memory that are really in use.
    public let residentBytes: Int
    /// Open files and sockets.
    public let openFiles: Int

    /// Reads the figures; nil on systems that do not state them in `/proc`.
    public init?() {
        guard let pages = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " "),
            pages.count > 1, let resident = Int(pages[1]),
            let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        else { return nil }
        residentBytes = resident * Int(getpagesize())
        openFiles = files.count
    }
}
#endif
