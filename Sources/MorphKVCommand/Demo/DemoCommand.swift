internal import ArgumentParser
internal import Foundation
internal import MorphDemo
internal import MorphEval
internal import MorphKV

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Shows what a cache of constant size costs and what it forgets.",
        discussion: """
            Writes one long diary with the full cache and with morphkv at a share of its size, then measures every \
            policy on more diaries (as `morphkv eval demo` does), and writes a page with charts.
            """)

    @OptionGroup var modelFlags: DemoModelFlags

    @Flag(help: "Fewer diaries: under a minute on two cores.")
    var quick = false

    @Option(help: "The page to write.")
    var report = "report.html"

    func run() async throws {
        let folder = URL(fileURLWithPath: report).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw ValidationError("\(report) cannot be written: \(folder) is not a folder that can be written to")
        }
        let model = try modelFlags.load()
        let writer = try DiaryWriter(model, threads: modelFlags.threads)
        let plan = try DemoPlan(seed: modelFlags.seed, isQuick: quick)
        let length = try await writer.answer(to: plan.task, policy: FullPolicy()).tokens
        let sides = plan.sides(responseTokens: length)
        try Output.write(plan.introduction(model, sides, responseTokens: length))
        let written = try await writeSideBySide(writer, plan.task, sides)

        try Output.write(
            "\nEvery policy on \(plan.samples) other diaries, \(plan.share) of the response as capacity:\n\n")
        let results = try await measure(writer, plan)
        let table = TextTable(
            header: DemoResult.tableHeader,
            rows: results.filter { $0.share.map { $0 == plan.share.description } ?? true }.map(\.tableRow))
        try Output.write(table.text)

        let page = DemoPage(
            task: plan.task, written: written, results: results, chartedPolicies: Set(plan.chartedPolicies),
            notes: plan.notes)
        try Output.save(page.html, to: report)
        try Output.write(
            "\nThe page shows memory against tokens, accuracy against capacity and which positions each layer kept.\n")
    }

    /// The diary with the full cache and with morphkv, at the same time if there is a terminal to show it on.
    private func writeSideBySide(_ writer: DiaryWriter, _ task: DiaryTask, _ sides: [DemoPlan.Side]) async throws
        -> [DemoPage.Written]
    {
        let shown = sides.map { DemoSide(name: $0.name, task: task) }
        let answers: [DiaryAnswer]
        if let screen = SideBySide(shown) {
            async let left = writer.answer(to: task, policy: sides[0].policy) {
                try await screen.add($0, cacheBytes: $1, to: 0)
            }
            async let right = writer.answer(to: task, policy: sides[1].policy) {
                try await screen.add($0, cacheBytes: $1, to: 1)
            }
            answers = try await [left, right]
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
        let parallel = modelFlags.parallel ?? min(4, ProcessInfo.processInfo.activeProcessorCount)
        let evaluation = DemoEvaluation(writer, tasks: plan.tasks, jobs: parallel)
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
