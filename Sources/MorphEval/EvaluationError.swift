public import Foundation

/// What can go wrong while reading benchmarks and scoring predictions.
public struct EvaluationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of problem it is; more kinds may be added.
    public enum Kind: Sendable, Hashable {
        /// A file or folder could not be found or read.
        case file
        /// A file is not in its published format.
        case format
        /// A benchmark, dataset or metric is not known, or does not fit what is asked of it.
        case name
        /// A Python package that a metric needs is missing; the message says how to install it.
        case missingPackage
        /// A helper program failed.
        case helper
        /// A file holds another run than the one that is to continue it.
        case differentRun
        /// Runs that are to be compared were made on different samples.
        case differentSamples
        /// A model cannot be asked in the way that a benchmark needs.
        case model
        /// A judge could not be asked, or did not answer as it should.
        case judge
    }

    /// What kind of problem it is.
    public let kind: Kind
    /// The file or folder concerned, if there is one.
    public let file: URL?
    /// The line of the file, counted from 1.
    public let line: Int?
    /// The element of the list that the file holds, counted from 1.
    public let element: Int?
    /// What is wrong, without the place.
    public let problem: String

    /// Creates an error.
    public init(_ kind: Kind, file: URL? = nil, line: Int? = nil, element: Int? = nil, _ problem: String) {
        self.kind = kind
        self.file = file
        self.line = line
        self.element = element
        self.problem = problem
    }

    /// One sentence for a person, beginning with the place: `file:line: (element n) problem`.
    public var description: String {
        guard let file else { return problem }
        var place = file.path
        if let line { place += ":\(line)" }
        if let element { place += ": element \(element)" }
        return "\(place): \(problem)"
    }
}
