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

/// The kernel is too slow without optimisation for tests in debug builds; the Makefile asks for it, and `make test-asan` for
/// traps at undefined behaviour and all of the kernel's own checks. A dependency's manifest must not carry such flags, so
/// they are not there by themselves.
let kernelFlags: [CSetting] = [
    ("MORPHKV_OPTIMIZE_KERNEL", ["-O2"]),
    ("MORPHKV_CHECK_KERNEL", ["-fsanitize=undefined", "-fsanitize-trap=undefined", "-DATTENTION_CHECKED"]),
].filter { Context.environment[$0.0] != nil }.map { .unsafeFlags($0.1) }

let package = Package(
    name: "swift-morphkv",
    platforms: [.macOS(.v15)],
    products: [
        // Ggml has the element types, devices and errors that MorphKV's interface names.
        .library(name: "MorphKV", targets: ["MorphKV", "Ggml"]),
        .library(name: "MorphEval", targets: ["MorphEval"]),
        .library(name: "MorphServer", targets: ["MorphServer"]),
        .executable(name: "morphkv", targets: ["MorphKVCommand"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.24.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.81.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.26.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLlama", pkgConfig: "llama",
            providers: [.brew(["llama.cpp"]), .apt(["libllama-dev"])]),
        .target(name: "CAllocator"),
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
        .target(name: "MorphDemo", dependencies: ["MorphEval", "MorphKV"], swiftSettings: strict),
        .target(
            name: "MorphServer",
            dependencies: [
                "MorphKV",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOFoundationCompat", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [
                .embedInCode("Page/page.html"), .embedInCode("Page/page.css"), .embedInCode("Page/page.js"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "MorphKVCommand",
            dependencies: [
                "MorphKV", "MorphEval", "MorphDemo", "MorphServer", "Ggml", "CAllocator", "CAttention", "CLlama",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [.copy("Resources")], swiftSettings: strict, linkerSettings: runtimePath),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        .target(name: "CTestRules", dependencies: ["CAttention"], path: "Tests/CTestRules"),
        .testTarget(
            name: "AttentionTests", dependencies: ["CAttention", "CTestRules", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "GgmlTests", dependencies: ["Ggml", "CLlama", "TestSupport"],
            swiftSettings: strict, linkerSettings: runtimePath),
        .testTarget(
            name: "MorphKVTests",
            dependencies: [
                "MorphKV", "Ggml", "CAllocator", "CAttention", "CLlama", "CTestRules", "TestSupport",
            ],
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
            name: "MorphDemoTests", dependencies: ["MorphDemo", "MorphEval", "MorphKV", "TestSupport"],
            exclude: ["Fixtures/diary.py"], resources: [.copy("Fixtures/diary.json")],
            swiftSettings: strict, linkerSettings: runtimePath),
        .testTarget(
            name: "MorphServerTests",
            dependencies: [
                "MorphServer", "MorphKV", "Ggml", "TestSupport",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict, linkerSettings: runtimePath),
        .testTarget(
            name: "CommandTests",
            dependencies: ["MorphKVCommand", "MorphKV", "Ggml", "JudgeTestServer", "TestSupport"],
            exclude: ["Python"],
            swiftSettings: strict, linkerSettings: runtimePath),
    ],
    swiftLanguageModes: [.v6]
)
