import Foundation
import Ggml
import Testing

@Suite struct GgufTests {
    @Test func aMissingFileIsNamed() {
        #expect(throws: GgmlError.self) { try GgufFile(contentsOf: URL(fileURLWithPath: "/nonexistent/x.gguf")) }
    }
}
