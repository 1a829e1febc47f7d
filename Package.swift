// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Programs find the libraries that scripts/bootstrap installed; library targets carry no unsafe flag,
/// so the package can be a dependency.
let runtimePath: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "\(Context.packageDirectory)/.deps/lib"])
]

/// The kernel is too slow without optimisation for tests in debug builds; the Makefile asks for it. A dependency's
/// manifest must not carry such flags, so they are not there by themselves.
let kernelFlags: [CSetting] =
    Context.environment["MORPHKV_OPTIMIZE_KERNEL"] == nil ? [] : [.unsafeFlags(["-O2"])]

let package = Package(
    name: "swift-morphkv",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "MorphKV", targets: ["MorphKV"]),
        .library(name: "MorphEval", targets: ["MorphEval"]),
        .executable(name: "morphkv", targets: ["MorphKVCommand"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.24.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLlama", pkgConfig: "llama",
            providers: [.brew(["llama.cpp"]), .apt(["libllama-dev"])]),
        .target(name: "CAttention", cSettings: kernelFlags),
        .target(
            name: "Ggml",
            dependencies: ["CAttention", "CLlama", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .target(
            name: "MorphKV",
            dependencies: ["CAttention", "Ggml", "CLlama", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .target(
            name: "MorphEval",
            dependencies: [
                "MorphKV", .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOFoundationCompat", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "MorphKVCommand",
            dependencies: [
                "MorphKV", "MorphEval", "Ggml", "CAttention", "CLlama",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict, linkerSettings: runtimePath),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "AttentionTests", dependencies: ["CAttention"], swiftSettings: strict),
        .testTarget(
            name: "GgmlTests", dependencies: ["Ggml", "CLlama", "TestSupport"],
            swiftSettings: strict, linkerSettings: runtimePath),
        .target(name: "CTestSupport", path: "Tests/CTestSupport"),
        .testTarget(
            name: "MorphKVTests", dependencies: ["MorphKV", "Ggml", "CLlama", "CTestSupport", "TestSupport"],
            swiftSettings: strict, linkerSettings: runtimePath),
        .target(
            name: "JudgeTestServer",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Tests/JudgeTestServer", swiftSettings: strict),
        .testTarget(
            name: "MorphEvalTests", dependencies: ["MorphEval", "MorphKV", "JudgeTestServer", "TestSupport"],
            exclude: ["Fixtures/generate.py"], resources: [.copy("Fixtures/metrics.json")],
            swiftSettings: strict, linkerSettings: runtimePath),
        .testTarget(
            name: "CommandTests", dependencies: ["MorphKVCommand", "MorphKV", "JudgeTestServer"],
            swiftSettings: strict, linkerSettings: runtimePath),
    ],
    swiftLanguageModes: [.v6]
)
