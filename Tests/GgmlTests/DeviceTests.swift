import CLlama
import Foundation
import Ggml
import TestSupport
import Testing

@Suite struct DeviceTests {
    @Test func theProcessorIsThereAndFoundByName() throws {
        let cpu = try Device.cpu()
        #expect(cpu.kind == .cpu)
        #expect(Device.all.contains(cpu))
        #expect(try Device.named("cpu") == cpu)
        #expect(try Device.named(cpu.name) == cpu)
        #expect(cpu.memory.total > 0)
        #expect(!cpu.description.isEmpty)
    }

    @Test func anUnknownNameIsAnErrorThatListsTheDevices() throws {
        let error = #expect(throws: GgmlError.self) { try Device.named("abacus7") }
        #expect(error?.kind == .device)
        #expect(error?.description.contains("abacus7") == true)
        for device in Device.all { #expect(error?.description.contains(device.name) == true) }
    }

    @Test(arguments: [Int.min, -1, 0, 513, .max])
    func aNumberOfThreadsOutOfRangeIsRefused(_ threads: Int) throws {
        #expect(throws: GgmlError.self) { try Backend(.cpu(), threads: threads) }
    }

    @Test func typesAreFoundByNameAndKnowTheirSize() throws {
        #expect(ElementType(named: "F16") == .f16)
        #expect(ElementType(named: "q9_9") == nil)
        #expect(ElementType.q8_0.blockLength == 32)
        #expect(ElementType.q8_0.bytes(64) == 68)
        #expect(ElementType.all.allSatisfy { ElementType(named: $0.description) == $0 })
        #expect(!ElementType.i32.isDequantizable)
    }
}

/// Redirects the standard error of the whole process for a moment, hence one at a time.
@Suite(.serialized) struct LogTests {
    @Test func onlyErrorsOfTheLibrariesAreShown() throws {
        Log.redirect()
        var ours: ggml_log_callback?
        var user: UnsafeMutableRawPointer?
        ggml_log_get(&ours, &user)
        let log = try #require(ours)
        let mark = UUID().uuidString
        let shown = try standardError {
            for level in [GGML_LOG_LEVEL_DEBUG, GGML_LOG_LEVEL_INFO, GGML_LOG_LEVEL_WARN, GGML_LOG_LEVEL_CONT] {
                log(level, "quiet \(mark)\n", user)
            }
            log(GGML_LOG_LEVEL_ERROR, "loud \(mark)\n", user)
            log(GGML_LOG_LEVEL_ERROR, nil, user)
        }
        #expect(!shown.contains("quiet \(mark)"))
        #expect(shown.contains("loud \(mark)"))
    }

    private func standardError(during body: () -> Void) throws -> String {
        let folder = try TemporaryFolder()
        let file = try folder.write("", to: "log")
        let handle = try FileHandle(forWritingTo: file)
        let saved = dup(2)
        dup2(handle.fileDescriptor, 2)
        body()
        fflush(nil)
        dup2(saved, 2)
        close(saved)
        return String(decoding: try Data(contentsOf: file), as: UTF8.self)
    }
}
