// swift-tools-version: 6.1
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

let package = Package(
    name: "swift-morphkv",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "MorphKV", targets: ["MorphKV"]),
        .executable(name: "morphkv", targets: ["MorphKVCommand"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLlama", pkgConfig: "llama",
            providers: [.brew(["llama.cpp"]), .apt(["libllama-dev"])]),
        .target(
            name: "Ggml",
            dependencies: ["CLlama", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .target(
            name: "MorphKV",
            dependencies: ["Ggml", "CLlama", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .executableTarget(
            name: "MorphKVCommand",
            dependencies: [
                "MorphKV", "Ggml",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict, linkerSettings: runtimePath),
        .testTarget(
            name: "GgmlTests", dependencies: ["Ggml", "CLlama"],
            swiftSettings: strict, linkerSettings: runtimePath),
        .target(name: "CTestSupport", path: "Tests/CTestSupport"),
        .testTarget(
            name: "MorphKVTests", dependencies: ["MorphKV", "Ggml", "CLlama", "CTestSupport"],
            swiftSettings: strict, linkerSettings: runtimePath),
        .testTarget(
            name: "CommandTests", dependencies: ["MorphKVCommand", "MorphKV"],
            swiftSettings: strict, linkerSettings: runtimePath),
    ],
    swiftLanguageModes: [.v6]
)
