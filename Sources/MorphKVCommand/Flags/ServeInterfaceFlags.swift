#if Server
internal import ArgumentParser
internal import Foundation
internal import MorphServer

/// Flags of `serve` that llama-server has too, or that say what of its interface there is.
struct ServeInterfaceFlags: ParsableArguments {
    @Option(help: "Names of the model, with commas between them, in place of --model-name.")
    var alias: String?

    @Option(help: "What the list of models says the model is for, with commas between.")
    var tags: String?

    @Flag(help: "Refuse requests that name another model; else the one model serves them.")
    var strictModelName = false

    @Option(
        help: "Web pages that may use the server: localhost (those of this machine), * or origins with commas between.")
    var corsOrigins = "localhost"

    @Option(help: "A folder to which slots can be saved.")
    var slotSavePath: String?

    @Flag(help: "Models that can answer without thinking before do so, if requests do not say.")
    var noThinking = false

    @Flag(help: "No GET /slots.")
    var noSlots = false

    @Flag(help: "No /metrics.")
    var noMetrics = false

    @Flag(help: "No chat page.")
    var noPage = false

    @Option(help: "Tokens that an answer has at most if the request does not say (default: --max-tokens).")
    var defaultMaxTokens: Int?

    @Option(help: "The temperature of requests that do not say (default: 1, for /completion 0.8).")
    var temperature: Float?

    @Option(help: "The most likely tokens to keep where requests do not say (default: all, for /completion 40).")
    var topK: Int?

    @Option(help: "The probability to keep where requests do not say (default: 1, for /completion 0.95).")
    var topP: Float?

    @Option(help: "The share of the best token's probability to keep (default: 0, for /completion 0.05).")
    var minP: Float?

    @Option(help: "The seed of requests that do not say (default: another one for each).")
    var seed: UInt32?

    func validate() throws {
        func require(_ condition: Bool, _ what: String) throws {
            guard condition else { throw ValidationError(what) }
        }
        try require((1...1 << 24).contains(defaultMaxTokens ?? 1), "--default-max-tokens: 1 to \(1 << 24) are possible")
        try require((0...2).contains(temperature ?? 0), "--temperature: 0 to 2 are possible")
        try require((0...1 << 20).contains(topK ?? 0), "--top-k: 0 to \(1 << 20) are possible")
        try require((0...1).contains(topP ?? 1), "--top-p: 0 to 1 are possible")
        try require((0...1).contains(minP ?? 0), "--min-p: 0 to 1 are possible")
    }

    /// The names of the model, in the order of the alphabet; the given one if there is no other.
    func names(_ given: String) -> [String] {
        let names = Set(Self.list(alias)).sorted()
        return names.isEmpty ? [given] : names
    }

    private static func list(_ text: String?) -> [String] {
        (text ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// Sets what the flags say.
    ///
    /// - Throws: `ValidationError` if the folder for slots is not there.
    func apply(to configuration: inout ServerConfiguration) throws {
        configuration.modelTags = Set(Self.list(tags)).sorted()
        configuration.isStrictAboutModel = strictModelName
        configuration.origins = AllowedOrigins(corsOrigins)
        (configuration.servesSlots, configuration.servesMetrics) = (!noSlots, !noMetrics)
        configuration.servesPage = !noPage
        configuration.defaultMaxTokens = defaultMaxTokens
        configuration.thinks = !noThinking
        configuration.sampling = SamplingDefaults(
            temperature: temperature, topK: topK, topP: topP, minP: minP, seed: seed)
        guard let slotSavePath else { return }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: slotSavePath, isDirectory: &isFolder), isFolder.boolValue else {
            throw ValidationError("--slot-save-path \(slotSavePath) is not a folder")
        }
        configuration.slotFolder = URL(fileURLWithPath: slotSavePath, isDirectory: true)
    }
}
#endif
