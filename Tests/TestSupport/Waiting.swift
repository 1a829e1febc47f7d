/// Something that did not happen in time.
public struct Timeout: Error, CustomStringConvertible {
    /// What was waited for, and how long.
    public let description: String

    package init(description: String) { self.description = description }
}

/// Waits until something is so, but not for ever.
///
/// The limit holds after 1,000 looks only, so that a machine that is busy with something else fails no test.
///
/// - Parameter what: what is waited for, for the error.
/// - Throws: ``Timeout`` when the limit is reached, and whatever `condition` throws.
public func wait(
    for what: String, atMost limit: Duration = .seconds(120), until condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    var looks = 0
    while try await !condition() {
        looks += 1
        guard looks < 1000 || clock.now < deadline else { throw Timeout(description: "\(what): not within \(limit)") }
        try await Task.sleep(for: .milliseconds(2))
    }
}
