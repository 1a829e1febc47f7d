import Foundation
import MorphKV
import TestSupport
import Testing

/// Scores of heads in the forms of others.
@Suite struct HeadScoreFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let scores = (0..<2).map { layer in (0..<4).map { Float(1 + 4 * layer + $0) / 16 } }

    private func fixture(_ name: String) -> URL { Fixtures.root.appending(path: "Tests/Fixtures/heads/\(name)") }

    private func refusal(_ url: URL) -> String {
        let error = #expect(throws: CacheError.self) { try HeadScoreFile(contentsOf: url) }
        #expect(error?.kind == .invalidPolicy)
        return error?.description ?? ""
    }

    @Test("tensors of PyTorch, wherever their numbers stand", arguments: ["half.pt", "brain.pt", "transposed.pt"])
    func tensors(_ name: String) throws {
        let file = try HeadScoreFile(contentsOf: fixture(name))
        #expect(file.scores == Self.scores && file.model == nil)
    }

    @Test(
        "nothing in a file is run, and what is no tensor is refused",
        arguments: [
            ("call.pt", "calls 'os system'"), ("list.pt", "instruction 93"), ("compressed.pt", "compressed"),
        ])
    func otherPickles(_ name: String, _ message: String) {
        let words = refusal(fixture(name))
        #expect(words.contains(message) && words.contains("\(name) does not hold scores of heads"), "\(words)")
    }

    @Test("a damaged file is an error, whichever byte it is")
    func damagedFiles() throws {
        let whole = try Data(contentsOf: fixture("half.pt"))
        for place in 0..<whole.count {
            var data = whole
            data[place] ^= 0x55
            // Bytes that say nothing, such as the time, may be anything; all others are noticed.
            let file = try? HeadScoreFile(contentsOf: folder.write(data, to: "damaged.pt"))
            #expect(file == nil || file?.scores == Self.scores, "byte \(place)")
            if place % 20 == 0 { _ = refusal(try folder.write(whole.prefix(place), to: "short.pt")) }
        }
    }

    @Test("DuoAttention's table: a line for each layer, cut to 0 to 1")
    func table() throws {
        let text = "-5.722e-05\t9.84375e-01\n1.25\t5.0e-01\n"
        let file = try HeadScoreFile(contentsOf: folder.write(text, to: "full_attention_heads.tsv"))
        #expect(file.scores == [[0, 0.984375], [1, 0.5]])
        for (bad, message) in [
            ("1\t2\n3\n", "different numbers"), ("1\tx\n", "line 1 has 'x'"), ("1\tnan\n", "'nan'"),
            ("", "numbers of heads"), ("1,2\n", "'1,2'"),
        ] {
            let words = refusal(try folder.write(bad, to: "bad.tsv"))
            #expect(words.contains(message), "\(words)")
        }
    }

    @Test("what is written in any form is read back the same", arguments: HeadScoreFile.Form.allCases)
    func roundTrip(_ form: HeadScoreFile.Form) throws {
        let heads = HeadScores(model: "m", scores: [[0.1, 0.7], [], [1, 1e-9]])
        let url = folder.url.appending(path: "heads.\(form.rawValue)")
        #expect(HeadScoreFile.Form(of: url) == form)
        try HeadScoreFile(heads).write(to: url, as: form)
        let file = try HeadScoreFile(contentsOf: url)
        #expect(file.scores == (form == .json ? heads.scores : [[0.1, 0.7], [0, 0], [1, 1e-9]]))
        #expect(file.model == (form == .json ? "m" : nil))
        let uneven = HeadScoreFile(HeadScores(model: "m", scores: [[1], [1, 2]]))
        if form != .json { #expect(throws: CacheError.self) { try uneven.write(to: url, as: form) } }
    }

    @Test("scores of others count for a model of their shape; of several files the larger ones")
    func models() throws {
        let model = try TestContexts.model(queryHeads: 8, kvHeads: 4)
        let file = try HeadScoreFile(contentsOf: fixture("half.pt"))
        #expect(try file.heads(for: model) == HeadScores(model: model.fingerprint, scores: Self.scores))
        let other = try HeadScoreFile(contentsOf: folder.write("0\t1\t0\t0\n0\t0\t0\t1\n", to: "b.tsv"))
        #expect(try file.maximum(other).scores == [[0.0625, 1, 0.1875, 0.25], [0.3125, 0.375, 0.4375, 1]])
        let small = try HeadScoreFile(contentsOf: folder.write("1\t1\n", to: "c.tsv"))
        #expect(throws: CacheError.self) { try file.maximum(small) }
        let error = #expect(throws: CacheError.self) { try small.heads(for: model) }
        #expect(error?.description.contains("1 layers with 2 heads, the model has 2 with 4") == true)
        var context = try TestContexts.make(model, seed: 77)
        try context.compress(.heads(file.heads(for: model), ratio: 0.5, sinks: 2, recent: 16), threads: 1)
        // The second layer's heads have the larger scores; beside the few entries of the others three whole heads fit into half.
        #expect(context.statistics.entries == [[20, 20, 20, 20], [20, 150, 150, 150]])
    }
}
