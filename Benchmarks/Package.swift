// swift-tools-version: 6.2
import PackageDescription

/// Micro-benchmarks of the attention kernel: `make micro-bench`. Apart from the package, so that nobody who uses the
/// library builds them; the kernel's sources are the same files.
let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: [])
    ],
    targets: [
        .target(name: "CAttention"),
        .executableTarget(
            name: "Kernel",
            dependencies: ["CAttention", .product(name: "Benchmark", package: "benchmark")],
            path: "Benchmarks/Kernel", plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ],
    swiftLanguageModes: [.v6]
)
