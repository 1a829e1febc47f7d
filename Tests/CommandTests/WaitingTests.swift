import Foundation
import TestSupport
import Testing

/// How the threads of GNU's OpenMP wait for each other.
@Suite struct WaitingTests {
    /// What OpenMP says at the start of the command; nil where the command has none of its own.
    private func spins(after shell: String) throws -> String? {
        let environment = ["OMP_DISPLAY_ENV": "verbose"]
        let result = try Command.run(["policies"], environment: environment, shell: "unset GOMP_SPINCOUNT; \(shell)")
        #expect(result.status == 0)
        return result.errors.split(separator: "\n").first { $0.contains("GOMP_SPINCOUNT") }.map(String.init)
    }

    @Test func threadsSpinBrieflyUnlessTheEnvironmentSaysOtherwise() throws {
        guard let usual = try spins(after: ":") else { return }
        let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        // A shared OpenMP, as a system's copy of llama.cpp has it, reads the environment before us.
        #expect(maps.contains("libgomp.so") || usual.contains("'1000'"), "\(usual)")
        #expect(try spins(after: "export GOMP_SPINCOUNT=7")?.contains("'7'") == true)
        #expect(try spins(after: "export OMP_WAIT_POLICY=passive")?.contains("'0'") == true)
    }
}
