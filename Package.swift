// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A product of a package that comes with a trait only.
func with(_ trait: String, _ name: String, _ package: String) -> Target.Dependency {
    .product(name: name, package: package, condition: .when(traits: [trait]))
}

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
    traits: [
        .trait(name: "Server", description: "MorphServer and `morphkv serve`: HTTP by Hummingbird."),
        .trait(
            name: "Evaluation",
            description: "What MorphEval needs of others: judges behind HTTP, and Python for a few published scores."),
        .default(enabledTraits: ["Server", "Evaluation"]),
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
        // scripts/bootstrap writes its pkg-config file.
        .systemLibrary(name: "CLlama", pkgConfig: "morphkv-llama"),
        // llama.cpp's library `common`, which is C++.
        .target(name: "CLlamaCommon", dependencies: ["CLlama"], cxxSettings: [.headerSearchPath(".")]),
        .target(name: "CAllocator"),
        .target(name: "COpenMP"),
        .target(name: "CRelay"),
        .target(name: "CAttention", cSettings: kernelFlags),
        .target(
            name: "Ggml",
            dependencies: [
                "CAttention", "CLlama", "COpenMP", "CRelay", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "MorphKV",
            dependencies: [
                "CAttention", "Ggml", "CLlama", "CLlamaCommon", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "MorphEval",
            dependencies: [
                "MorphKV", with("Evaluation", "Subprocess", "swift-subprocess"),
                with("Evaluation", "AsyncHTTPClient", "async-http-client"),
                with("Evaluation", "NIOCore", "swift-nio"), with("Evaluation", "NIOHTTP1", "swift-nio"),
                with("Evaluation", "NIOFoundationCompat", "swift-nio"),
            ],
            resources: [.embedInCode("Report/published.json")], swiftSettings: strict),
        .target(name: "MorphDemo", dependencies: ["MorphEval", "MorphKV"], swiftSettings: strict),
        .target(
            name: "MorphServer",
            dependencies: [
                "CAllocator", "Ggml", "MorphKV",
                with("Server", "Hummingbird", "hummingbird"),
                with("Server", "HummingbirdCore", "hummingbird"),
                with("Server", "HTTPTypes", "swift-http-types"),
                with("Server", "NIOCore", "swift-nio"), with("Server", "NIOPosix", "swift-nio"),
                with("Server", "NIOFoundationCompat", "swift-nio"),
                with("Server", "NIOHTTPTypes", "swift-nio-extras"),
                with("Server", "ServiceLifecycle", "swift-service-lifecycle"),
                with("Server", "UnixSignals", "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [
                .embedInCode("Page/page.html"), .embedInCode("Page/page.css"), .embedInCode("Page/page.js"),
                .embedInCode("Page/contexts.js"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "MorphKVCommand",
            dependencies: [
                "MorphKV", "MorphEval", "MorphDemo", "Ggml", "CAllocator", "CAttention", "CLlama",
                .target(name: "MorphServer", condition: .when(traits: ["Server"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [.copy("Resources")], swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["MorphKV", "Ggml"], path: "Tests/TestSupport", swiftSettings: strict),
        .target(name: "CTestRules", dependencies: ["CAttention"], path: "Tests/CTestRules"),
        .testTarget(
            name: "AttentionTests", dependencies: ["CAttention", "CTestRules", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "GgmlTests", dependencies: ["Ggml", "CLlama", "COpenMP", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "MorphKVTests",
            dependencies: [
                "MorphKV", "Ggml", "CAllocator", "CAttention", "CLlama", "CTestRules", "TestSupport",
            ],
            swiftSettings: strict),
        .target(
            name: "JudgeTestServer",
            dependencies: [
                with("Evaluation", "NIOCore", "swift-nio"), with("Evaluation", "NIOPosix", "swift-nio"),
                with("Evaluation", "NIOHTTP1", "swift-nio"),
            ],
            path: "Tests/JudgeTestServer", swiftSettings: strict),
        .testTarget(
            name: "MorphEvalTests", dependencies: ["MorphEval", "MorphKV", "JudgeTestServer", "TestSupport"],
            exclude: [
                "Fixtures/generate.py", "Fixtures/answers.py", "Fixtures/infinite.py", "Fixtures/logbook.py",
            ],
            resources: [
                .copy("Fixtures/metrics.json"), .copy("Fixtures/answers.json"), .copy("Fixtures/infinite.json"),
                .copy("Fixtures/logbook.json"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "MorphDemoTests", dependencies: ["MorphDemo", "MorphEval", "MorphKV", "TestSupport"],
            exclude: ["Fixtures/diary.py"], resources: [.copy("Fixtures/diary.json")],
            swiftSettings: strict),
        .testTarget(
            name: "MorphServerTests",
            dependencies: [
                "MorphServer", "MorphKV", "Ggml", "TestSupport",
                with("Server", "Hummingbird", "hummingbird"),
                with("Server", "HummingbirdTesting", "hummingbird"),
                with("Server", "HTTPTypes", "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandTests",
            dependencies: ["MorphKVCommand", "MorphKV", "Ggml", "JudgeTestServer", "TestSupport"],
            exclude: ["Python"],
            swiftSettings: strict),
        .testTarget(
            name: "DocumentationTests",
            dependencies: [
                "MorphKV", "MorphEval", .target(name: "MorphServer", condition: .when(traits: ["Server"])),
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6], cxxLanguageStandard: .cxx17
)
