/// The version of the package, as its commands and its server say it.
package enum PackageVersion {
    /// Major, minor and patch.
    package static let text = "0.1.0"
    /// By which clients of the server tell answers of other builds: `b`, as llama-server's begin.
    package static let fingerprint = "b\(text)-morphkv"
}
