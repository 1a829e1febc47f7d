import Ggml
import Testing

@testable import MorphKV

/// Memory that cannot be had is an error, not the end of the process.
@Suite struct MemoryLimitTests {
    @Test func aBlockLargerThanTheAddressSpaceIsRefused() {
        #expect { _ = try HostBlock(bytes: Int.max / 2) } throws: { ($0 as? GgmlError)?.kind == .memory }
    }

    @Test func aBlockIsAlignedAndEmptyOnesHaveAnAddress() throws {
        for bytes in [0, 1, 64, 4097] {
            let block = try HostBlock(bytes: bytes)
            #expect(block.bytes == bytes && Int(bitPattern: block.memory.baseAddress!) % 64 == 0)
        }
    }
}
