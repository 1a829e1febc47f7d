// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "CustomPolicy",
    platforms: [.macOS(.v15)],
    products: [.library(name: "CustomPolicy", targets: ["CustomPolicy"])],
    dependencies: [.package(name: "swift-morphkv", path: "../..")],
    targets: [
        .target(name: "CustomPolicy", dependencies: [.product(name: "MorphKV", package: "swift-morphkv")]),
        .testTarget(name: "CustomPolicyTests", dependencies: ["CustomPolicy"]),
    ]
)
