package import Foundation

/// When a request that failed for the moment is tried again.
package struct RetryPolicy: Sendable, Hashable {
    /// How often a request is made at most.
    package var attempts = 6
    /// The wait after the first failure; it doubles with each further one.
    package var firstDelay: Duration = .milliseconds(500)
    /// The longest wait that is chosen here.
    package var longestDelay: Duration = .seconds(30)
    /// The longest wait that a server can ask for.
    package var longestRequestedDelay: Duration = .seconds(600)

    /// Creates a policy.
    package init() {}

    /// How long to wait after a failure: as long as the server asks, else twice as long as the time before, less a random
    /// part of up to a half, so that many clients do not come back at the same moment.
    ///
    /// - Parameters:
    ///   - failures: How many requests failed so far, at least 1.
    ///   - requested: What the server asks for.
    ///   - random: A random number from 0 to 1.
    package func delay(after failures: Int, requested: Duration?, random: Double) -> Duration {
        if let requested { return min(requested, longestRequestedDelay) }
        let doubled = firstDelay * (1 << min(failures - 1, 20))
        return min(doubled, longestDelay) * (1 - random / 2)
    }

    /// The value of a `Retry-After` header: seconds, or a date.
    package static func requestedDelay(_ header: String?, now: Date = Date()) -> Duration? {
        guard let header = header?.trimmingCharacters(in: .whitespaces) else { return nil }
        if let seconds = Int(header) { return seconds >= 0 ? .seconds(seconds) : nil }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return format.date(from: header).map { .seconds(max(0, $0.timeIntervalSince(now))) }
    }
}
