import Foundation
import TestSupport
import Testing

@testable import MorphKV

/// How many processors there are for a process in control groups, described by files as Linux has them.
@Suite struct ProcessorsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ files: [String: String]) throws {
        for (path, text) in files {
            let url = folder.url.appending(path: path)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
    }

    private func count(of active: Int) -> Int { Processors.count(of: active, in: folder.url) }

    @Test func withoutControlGroupsAllProcessorsAreUsable() {
        #expect(count(of: 6) == 6)
        #expect((1...ProcessInfo.processInfo.activeProcessorCount).contains(Processors.usable))
    }

    @Test(
        "version 2: the least quota of the group and those around it, rounded down",
        arguments: [
            ("max 100000", "max 100000", 8), ("400000 100000", "max 100000", 4), ("max 100000", "250000 100000", 2),
            ("600000 100000", "300000 100000", 3), ("50000 100000", "max 100000", 1),
            ("1600000 100000", "max 100000", 8),
            ("", "nonsense", 8), ("-5 0", "0 0", 8),
        ])
    func versionTwo(own: String, around: String, expected: Int) throws {
        try write([
            "proc/self/cgroup": "0::/apps/one\n",
            "proc/self/mountinfo":
                "24 1 0:22 / /sys rw - sysfs sysfs rw\n30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/apps/one/cpu.max": own + "\n", "sys/fs/cgroup/apps/cpu.max": around + "\n",
        ])
        #expect(count(of: 8) == expected)
    }

    @Test(
        "version 1: the quota of the hierarchy with the controller cpu",
        arguments: [(-1, 100_000, 8), (200_000, 100_000, 2), (10_000, 100_000, 1), (50_000, 10_000, 5)])
    func versionOne(quota: Int, period: Int, expected: Int) throws {
        try write([
            "proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/job\n",
            "proc/self/mountinfo": """
            31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            """,
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "\(quota)\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "\(period)\n",
            "sys/fs/cgroup/memory/m/cpu.max": "100000 100000\n",
        ])
        #expect(count(of: 8) == expected)
    }

    @Test("in a container the group's own folder is what is mounted")
    func container() throws {
        try write([
            "proc/self/cgroup": "0::/docker/abc\n",
            "proc/self/mountinfo": "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
            "sys/fs/cgroup/cpu.max": "300000 100000\n",
        ])
        #expect(count(of: 8) == 3)
        try write(["proc/self/cgroup": "0::/\n"])
        #expect(count(of: 8) == 3)
    }
}
