import Foundation
import TestSupport
import Testing

/// `morphkv trace` with a policy that needs a calibration.
@Suite struct TraceCommandTests {
    @Test("a trace under augur is repeated with the calibration that is named, and refused without one")
    func namedCalibrations() throws {
        let folder = try TemporaryFolder()
        for name in ["augur-group1.gguf", "01-augur-group1-even-c12-w4-l0-p1.json"] {
            try folder.write(Data(contentsOf: Fixtures.augur.appending(path: name)), to: name)
        }
        let command = ["trace", "--check", "--threads", "1", folder.path("01-augur-group1-even-c12-w4-l0-p1.json")]
        let without = try Command.run(command)
        #expect(
            without.status != 0 && without.errors.contains("there is no augur-group1.augur.gguf"), "\(without.errors)")
        let calibration = Fixtures.augur.appending(path: "augur-group1.augur.gguf").path
        let result = try Command.run(command + ["--calibration", calibration])
        #expect(result.status == 0 && result.output.hasPrefix("ok "), "\(result.output) \(result.errors)")
    }
}
