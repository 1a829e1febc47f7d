// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "CustomBenchmark",
    platforms: [.macOS(.v15)],
    products: [.library(name: "CustomBenchmark", targets: ["CustomBenchmark"])],
    dependencies: [.package(name: "swift-morphkv", path: "../..")],
    targets: [
        .target(
            name: "CustomBenchmark",
            dependencies: [
                .product(name: "MorphKV", package: "swift-morphkv"),
                .product(name: "MorphEval", package: "swift-morphkv"),
            ]),
        .testTarget(
            name: "CustomBenchmarkTests",
            dependencies: [
                "CustomBenchmark", .product(name: "MorphKV", package: "swift-morphkv"),
                .product(name: "MorphEval", package: "swift-morphkv"),
            ]),
    ]
)
