/// The benchmarks that can be named in text.
public struct BenchmarkRegistry: Sendable {
    /// The benchmarks of this package.
    public static let standard = BenchmarkRegistry([
        .longBench,
        .longBench2,
        .ruler,
        .infiniteBench,
        .longWriter,
        .longGenBench,
        .squad,
        .gsm8k,
        .math,
        .gpqa,
        .needle,
        .scBench,
        .logbook,
    ])

    /// The benchmarks, in the order in which they are listed.
    public let benchmarks: [BenchmarkDefinition]

    /// A registry of some benchmarks.
    public init(_ benchmarks: [BenchmarkDefinition]) { self.benchmarks = benchmarks }

    /// The registry with further benchmarks; one of a known name replaces it.
    public func adding(_ more: BenchmarkDefinition...) -> BenchmarkRegistry {
        let names = more.map(\.name)
        return BenchmarkRegistry(benchmarks.filter { !names.contains($0.name) } + more)
    }

    /// The benchmark of a name, if there is one.
    public subscript(name: String) -> BenchmarkDefinition? { benchmarks.first { $0.name == name } }

    /// The benchmark of a name.
    ///
    /// - Throws: ``EvaluationError`` of kind `name` that lists what there is.
    public func benchmark(_ name: String) throws -> BenchmarkDefinition {
        guard let benchmark = self[name] else {
            let names = benchmarks.map(\.name).joined(separator: ", ")
            throw EvaluationError(.name, "there is no benchmark '\(name)'; there are: \(names)")
        }
        return benchmark
    }
}
