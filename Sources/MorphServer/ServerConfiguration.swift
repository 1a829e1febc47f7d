#if Server
public import Foundation
public import MorphKV

/// How the server is reached, and what it lets clients do.
public struct ServerConfiguration: Sendable {
    /// The address to listen on.
    public var host = "127.0.0.1"
    /// The port to listen on; 0 takes a free one.
    public var port = 8080
    /// The name that requests give for the model.
    public var modelName: String
    /// The keys that clients may use; none lets everybody in.
    public var keys = APIKeys([])
    /// Bytes that the body of a request may have.
    public var maxBodyBytes = 4 << 20
    /// Bytes that a chat may have that is put into an interpreted template, which takes 24 times as many meanwhile.
    public var maxChatBytes = 3 << 19
    /// Bytes that the grammars of all waiting and running requests may have together, with what takes their answers apart.
    public var maxGrammarBytes = 8 << 20
    /// Bytes of streamed answers that are kept to be read again; 0 keeps none.
    public var streamBytes = 4 << 20
    /// Answers that one request may ask for.
    public var maxChoices = 8
    /// Connections that are open at a time.
    public var maxConnections = 512
    /// How long the head of a first request may take.
    public var headerTime = Duration.seconds(10)
    /// How long the body of a request may take.
    public var bodyTime = Duration.seconds(30)
    /// How long a connection may stay open without a request.
    public var idleTime = Duration.seconds(75)
    /// How long a client may take nothing of its answer.
    public var writeTime = Duration.seconds(30)
    /// How long a client that has closed its side waits for the beginning of its answer.
    public var halfClosedTime = Duration.seconds(2)
    /// How long answers may go on after the signal to end.
    public var shutdownTime = Duration.seconds(30)
    /// Whether the system prompts of chats are pinned, as far as they fit, where the caches are made for pins; messages
    /// may say otherwise of themselves.
    public var pinsSystem = true
    /// Further names of the model.
    public var modelAliases: [String] = []
    /// What the list of models says the model is for.
    public var modelTags: [String] = []
    /// The model's file, by its name alone; nil if there is none.
    public var modelFile: String?
    /// Whether a request that names another model is refused.
    public var isStrictAboutModel = false
    /// The web pages elsewhere that may use the server.
    public var origins = AllowedOrigins.loopback
    /// Whether `/slots` says what is computed where.
    public var servesSlots = true
    /// Whether there is `/metrics`.
    public var servesMetrics = true
    /// Whether there is the chat page.
    public var servesPage = true
    /// The folder of saved slots; nil if slots are not saved.
    public var slotFolder: URL?
    /// How requests are sampled that do not say.
    public var sampling = SamplingDefaults()
    /// Tokens that an answer has at most if its request does not say; as many as can be if nil.
    public var defaultMaxTokens: Int?
    /// Whether answers have the prompt as the model saw it.
    public var isVerbose = false
    /// The policies that requests can name.
    public var policies = PolicyRegistry.standard
    /// A chat template in Jinja, in place of the model's own.
    public var chatTemplate: String?
    /// What becomes of what models think before they answer, if requests do not say.
    public var reasoningFormat = ChatInput.ReasoningFormat.auto
    /// Whether models that think before they answer do so, if requests do not say.
    public var thinks = true

    /// Creates a configuration with the defaults of the command `morphkv serve`.
    public init(modelName: String) { self.modelName = modelName }

    /// Whether only programs on this machine can connect.
    public var isLocal: Bool { LocalNames.contains(host) }
}

extension ServerConfiguration {
    /// Bytes of the largest chat that is put into a template.
    var maxTemplateBytes: Int { min(maxChatBytes, maxBodyBytes) }

    /// All names of the model: the first is what answers say.
    var modelNames: [String] { [modelName] + modelAliases }
}

/// How requests are sampled that do not say; nil where the interface's own default counts.
public struct SamplingDefaults: Sendable {
    /// Above 0; 0 is greedy.
    public var temperature: Float?
    /// Only so many of the likeliest tokens.
    public var topK: Int?
    /// Only the likeliest tokens that have this probability together.
    public var topP: Float?
    /// Only tokens with this share of the likeliest one's probability.
    public var minP: Float?
    /// Of the choice of tokens; one of its own for each answer if nil.
    public var seed: UInt32?

    /// Creates defaults.
    public init(
        temperature: Float? = nil, topK: Int? = nil, topP: Float? = nil, minP: Float? = nil, seed: UInt32? = nil
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.seed = seed
    }
}

/// The names of this machine as seen from itself.
enum LocalNames {
    static func contains(_ host: String) -> Bool {
        ["localhost", "::1", "[::1]"].contains(host.lowercased())
            || host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." }
    }
}
#endif
