internal import Foundation

extension [Double] {
    /// The middle value; the lower one of two.
    var median: Double { isEmpty ? 0 : sorted()[(count - 1) / 2] }
}

/// Seconds that some work takes.
func seconds(_ work: () throws -> Void) rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try work()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
}

/// Bytes of this process that lie in memory at present; nil where the system does not say.
func residentBytes() -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
    let fields = text.split(separator: " ").compactMap { Int($0) }
    return fields.count > 2 ? fields[1] * Int(sysconf(Int32(_SC_PAGESIZE))) : nil
}

/// The most bytes of this process that ever lay in memory.
func peakResidentBytes() -> Int {
    var usage = rusage()
    #if os(Linux)
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
    #else
    getrusage(RUSAGE_SELF, &usage)
    return usage.ru_maxrss
    #endif
}
