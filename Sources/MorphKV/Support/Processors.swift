internal import Foundation

/// How many processors this process may use.
public enum Processors {
    /// The processors that the process is bound to, or fewer where a container's quota of time gives it fewer: threads beyond it
    /// would be stopped in the middle of every step, and the others would wait for them.
    public static let usable = count(of: ProcessInfo.processInfo.activeProcessorCount, in: URL(filePath: "/"))

    /// As many of `active` processors as the quota of the control groups leaves, at least one.
    ///
    /// - Parameter root: the file system in which the process's groups are described, as `proc/self` and mounts.
    static func count(of active: Int, in root: URL) -> Int {
        guard let quota = ControlGroups(root: root).processors else { return active }
        return max(1, min(active, Int(min(quota, Double(active)))))
    }
}

/// The process's control groups (cgroups(7), versions 1 and 2), as far as they limit its time.
struct ControlGroups {
    /// Where paths begin.
    let root: URL

    /// The least quota of the process's groups and those around them, in processors; nil without any.
    var processors: Double? {
        folders.flatMap { [versionTwo($0), versionOne($0)] }.compactMap(\.self).min()
    }

    /// The folders of the process's groups, each with those around it.
    private var folders: [URL] {
        let groups = lines("proc/self/cgroup").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }
        return lines("proc/self/mountinfo").compactMap(Mount.init).flatMap { mount in
            let own = groups.first { $0.count == 3 && mount.controls($0[1]) }
            return mount.folders(of: own.map { String($0[2]) } ?? "/").map { root.appending(path: $0) }
        }
    }

    private func versionTwo(_ folder: URL) -> Double? {
        let fields = lines(folder.appending(path: "cpu.max")).first?.split(separator: " ") ?? []
        return fields.count == 2 ? Self.share(Double(fields[0]), of: Double(fields[1])) : nil
    }

    private func versionOne(_ folder: URL) -> Double? {
        Self.share(
            number(folder.appending(path: "cpu.cfs_quota_us")), of: number(folder.appending(path: "cpu.cfs_period_us")))
    }

    /// No quota is `max` in version 2 and -1 in version 1.
    private static func share(_ quota: Double?, of period: Double?) -> Double? {
        guard let quota, let period, quota > 0, period > 0 else { return nil }
        return quota / period
    }

    private func number(_ file: URL) -> Double? { lines(file).first.flatMap { Double($0) } }

    private func lines(_ path: String) -> [Substring] { lines(root.appending(path: path)) }

    private func lines(_ file: URL) -> [Substring] {
        // Files of /proc have no size, so they are read to their end.
        guard let handle = try? FileHandle(forReadingFrom: file), let data = try? handle.readToEnd() else { return [] }
        return String(decoding: data, as: UTF8.self).split(separator: "\n")
    }
}

/// A mounted hierarchy of control groups: a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
private struct Mount {
    /// The group that is mounted, and where.
    let (group, point): (String, String)
    /// The controllers of version 1; empty in version 2, where there is one hierarchy for all.
    let controllers: [Substring]

    init?(_ line: Substring) {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash > 4, fields.count > dash + 3 else { return nil }
        switch fields[dash + 1] {
        case "cgroup2": controllers = []
        case "cgroup": controllers = fields[dash + 3].split(separator: ",")
        default: return nil
        }
        (group, point) = (String(fields[3]), String(fields[4]))
    }

    /// Whether this is the hierarchy of a line of /proc/self/cgroup that names these controllers.
    func controls(_ names: Substring) -> Bool {
        controllers.isEmpty ? names.isEmpty : names.split(separator: ",").contains("cpu") && controllers.contains("cpu")
    }

    /// The folder of a group and those around it, as far as they are mounted.
    func folders(of path: String) -> [String] {
        let parts = path.split(separator: "/"), hidden = group.split(separator: "/")
        // In a namespace of its own the process may see a path that is not under what is mounted.
        let rest = parts.starts(with: hidden) ? Array(parts.dropFirst(hidden.count)) : []
        return (0...rest.count).map { ([point] + rest.prefix($0).map(String.init)).joined(separator: "/") }
    }
}
