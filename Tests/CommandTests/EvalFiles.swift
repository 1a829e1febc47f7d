import Foundation
import TestSupport

/// A folder with small files of benchmarks in their published formats, and room for results.
final class EvalFolder {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    var url: URL { folder.url }

    func path(_ name: String) -> String { folder.path(name) }

    func write(_ text: String, to name: String) throws { try folder.write(text, to: name) }

    func text(_ name: String) throws -> String {
        try String(contentsOf: url.appendingPathComponent(name), encoding: .utf8)
    }

    /// The lines of a result file; none if it is not there yet.
    func lines(_ name: String) throws -> [[String: Any]] {
        guard FileManager.default.fileExists(atPath: path(name)) else { return [] }
        return try text(name).split(separator: "\n").map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
        }
    }

    /// The number of whole lines of a file.
    func lineCount(_ name: String) -> Int {
        guard let data = try? Data(contentsOf: url.appendingPathComponent(name)) else { return 0 }
        return data.count { $0 == UInt8(ascii: "\n") }
    }

    /// Starts a run, waits for its next result, kills it, and leaves half a line behind.
    ///
    /// - Returns: whether there was something left to kill.
    func interrupt(_ arguments: [String], out: String) throws -> Bool {
        let process = Process()
        process.executableURL = Command.executable
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        let before = lineCount(out)
        try process.run()
        while process.isRunning, lineCount(out) == before { usleep(1000) }
        let isRunning = process.isRunning
        if isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        guard isRunning, process.terminationReason == .uncaughtSignal else { return false }
        let handle = try FileHandle(forUpdating: url.appendingPathComponent(out))
        let content = try handle.readToEnd() ?? Data()
        // A kill rarely hits a write, so the half line that it would leave is made here.
        if content.last == UInt8(ascii: "\n") { try handle.write(contentsOf: Data(content.prefix(content.count / 9))) }
        try handle.close()
        return true
    }

    /// Writes a benchmark of five samples and returns the arguments that name it.
    func benchmark(_ name: String) throws -> [String] {
        let words = ["a dog", "a cat", "the park", "a ball", "her mom"]
        switch name {
        case "longgenbench":
            let samples = words.map {
                """
                {"prompt": "Lily has \($0). #*# Week 1:", "prefix": "#*# Week 1:", "type": "Week", "number": 2,
                 "checks_once": {"1": "\($0)"}, "checks_range": {"1": "rain"}, "checks_periodic": {"2": "sun"}}
                """
            }
            try write("[" + samples.joined(separator: ",\n") + "]", to: "Dataset_short.json")
            return ["longgenbench", "--data", path("Dataset_short.json")]
        case "longwriter":
            let lines = words.map { #"{"prompt": "Tell me about \#($0)", "type": "story", "length": 100}"# }
            try write(lines.joined(separator: "\n"), to: "longbench_write.jsonl")
            try write("Grade. $INST$ $RESPONSE$", to: "judge.txt")
            return ["longwriter", "--data", url.path, "--raw"]
        case "longbench":
            try write(#"{"hotpotqa": "{context} {input}"}"#, to: "config/dataset2prompt.json")
            try write(#"{"hotpotqa": 32}"#, to: "config/dataset2maxlen.json")
            try write("{}", to: "config/model2maxlen.json")
            let lines = words.map {
                #"{"input": "Lily saw", "context": "\#($0)", "answers": ["a"], "length": 3, "all_classes": null}"#
            }
            try write(lines.joined(separator: "\n"), to: "data/hotpotqa.jsonl")
            return ["longbench", "--data", url.path, "--dataset", "hotpotqa", "--raw"]
        case "scbench":
            let lines = words.map { word in
                let turns = ["What did Lily see?", "Who came to \(word)?", "What did Lily see?"].map {
                    #"{"input": "\#($0)", "answer": "a"}"#
                }
                let story = String(repeating: "Lily went out and saw \(word). She was happy. ", count: 6)
                return #"{"context": "\#(story)", "multi_turns": [\#(turns.joined(separator: ", "))]}"#
            }
            try write(lines.joined(separator: "\n"), to: "scbench_qa_eng.jsonl")
            return ["scbench", "--data", url.path, "--dataset", "scbench_qa_eng", "--raw"]
        default:
            try write(String(repeating: "Lily had a red ball. Tom had a dog. ", count: 20), to: "essays/a.txt")
            return ["niah", "--data", path("essays"), "--lengths", "100,200", "--depths", "0,50,100", "--raw"]
        }
    }
}
