internal import ArgumentParser
internal import Foundation
internal import MorphDemo
internal import MorphEval
internal import MorphKV

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Shows what a cache of constant size costs and what it forgets.",
        discussion: """
            Writes one long diary with the full cache and, in a share of its bytes, with augur and with morphkv, then \
            measures every policy on more diaries (as `morphkv eval demo --equal-bytes` does), and writes a page with \
            charts.
            """)

    @OptionGroup var modelFlags: DemoModelFlags
    @OptionGroup var types: CacheTypeFlags

    @Flag(help: "Fewer diaries, no variants of policies: under a minute on two cores.")
    var quick = false

    @Option(
        help: ArgumentHelp(
            "Bytes that a small cache may take, everything counted, as 200K, or a share like 1/4 of what the full cache takes "
                + "for the response."))
    var bytes = ByteBudget.share(1, of: 4)

    @Option(help: "The page to write.")
    var report = "report.html"

    func run() async throws {
        let folder = URL(fileURLWithPath: report).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw ValidationError("\(report) cannot be written: \(folder) is not a folder that can be written to")
        }
        let model = try modelFlags.load()
        let writer = try DiaryWriter(model, threads: modelFlags.threads, storage: types.storage)
        let plan = try DemoPlan(model, seed: modelFlags.seed, isQuick: quick, bytes: bytes)
        let length = try await writer.answer(to: plan.task, policy: FullPolicy()).tokens
        let sides = try plan.sides(writer, responseTokens: length)
        try Output.write(plan.introduction(sides, responseTokens: length))
        let written = try await writeSideBySide(writer, plan.task, sides)
        try save(plan, written, [])

        try Output.write("\n\(plan.tableTitle)\n\n")
        let results = try await measure(writer, plan)
        let table = TextTable(
            header: DemoResult.tableHeader,
            rows: results.filter { $0.share.map { $0 == plan.share.description } ?? true }.map(\.tableRow))
        try Output.write(table.text)
        try save(plan, written, results)
        try Output.write(
            "\nThe page shows accuracy against bytes, memory against tokens and which positions each layer kept.\n")
    }

    /// Twice: measuring takes minutes, so the diary's charts are there before.
    private func save(_ plan: DemoPlan, _ written: [DemoPage.Written], _ results: [DemoResult]) throws {
        let page = DemoPage(
            task: plan.task, written: written, results: results, chartedPolicies: Set(plan.chartedPolicies),
            notes: plan.notes)
        try Output.save(page.html, to: report)
    }

    /// The diary with every cache, at the same time if there is a terminal to show it on.
    private func writeSideBySide(_ writer: DiaryWriter, _ task: DiaryTask, _ sides: [DemoPlan.Side]) async throws
        -> [DemoPage.Written]
    {
        let shown = sides.map { DemoSide(name: $0.name, task: task) }
        let answers: [DiaryAnswer]
        if let screen = SideBySide(shown) {
            answers = try await withThrowingTaskGroup(of: (Int, DiaryAnswer).self) { group in
                for (index, side) in sides.enumerated() {
                    group.addTask {
                        let answer = try await writer.answer(to: task, policy: side.policy) {
                            try await screen.add($0, cacheBytes: $1, to: index)
                        }
                        return (index, answer)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
            }
            try await screen.finish()
        } else {
            var all: [DiaryAnswer] = []
            for (index, side) in sides.enumerated() {
                var shown = shown[index]
                try Output.write("\n\(side.name)\n\n\(shown.text)")
                let answer = try await writer.answer(to: task, policy: side.policy) {
                    shown.add($0, cacheBytes: $1)
                    try Output.write($0.text)
                }
                shown.finish()
                try Output.write("\n\n" + shown.summary.joined(separator: "\n") + "\n")
                all.append(answer)
            }
            answers = all
        }
        return zip(sides, answers).map { DemoPage.Written(name: $0.name, answer: $1) }
    }

    private func measure(_ writer: DiaryWriter, _ plan: DemoPlan) async throws -> [DemoResult] {
        let parallel = modelFlags.parallel ?? (modelFlags.device.lowercased() == "cpu" ? min(4, Processors.usable) : 1)
        let evaluation = DemoEvaluation(writer, tasks: plan.tasks, jobs: parallel, comparesBytes: true)
        let display = ProgressDisplay()
        defer { display.finish() }
        var results: [DemoResult] = []
        try await evaluation.run(plan.methods) {
            display.show(done: $0.done, of: $0.total)
        } result: {
            results.append($0)
        }
        return results
    }
}
