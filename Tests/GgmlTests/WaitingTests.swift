import COpenMP
import Foundation
import Ggml
import TestSupport
import Testing

/// How the threads of GNU's OpenMP wait for each other.
@Suite struct WaitingTests {
    /// A shared OpenMP, as a system's copy of llama.cpp has it, is out of reach.
    private static var shared: Bool {
        let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
        return maps.contains("libgomp.so") || maps.isEmpty
    }

    @Test func threadsSpinBriefly() async {
        await #expect(processExitsWith: .success) {
            for name in ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"] { unsetenv(name) }
            _ = try Device.cpu()
            setenv("OMP_WAIT_POLICY", "passive", 1)
            #expect(openmp_spin(5) == (Self.shared ? -1 : 1000))
        }
    }

    @Test(arguments: ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
    func theEnvironmentComesFirst(_ name: String) async {
        await #expect(processExitsWith: .success) { [name] in
            setenv(name, "7", 1)
            let before = openmp_spin(1)
            #expect(openmp_spin(1000) == before && before != 1000)
        }
    }
}
