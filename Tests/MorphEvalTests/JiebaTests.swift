import Foundation
import MorphEval
import TestSupport
import Testing

@Suite("jieba")
struct JiebaTests {
    @Test(
        "segments as jieba did when the fixture was written", .enabled(if: PythonModule.hasJieba, PythonModule.noJieba))
    func segmentation() async throws {
        let known = try PythonFixture.shared.get().segmented
        let words = try await JiebaSegmenter().segment(known.map(\.text))
        for (list, expected) in zip(words, known) {
            #expect(list.map { Array($0.unicodeScalars) } == expected.words.map { Array($0.unicodeScalars) })
        }
    }

    @Test("a missing interpreter is reported with how to install jieba")
    func missingInterpreter() async {
        let error = await #expect(throws: EvaluationError.self) {
            try await JiebaSegmenter(interpreter: "/no/such/python").segment(["你好"])
        }
        #expect(error?.kind == .missingPackage)
        #expect(error?.description.contains("pip install jieba==0.42.1") == true)
    }

    @Test(
        "what a helper says when it fails",
        arguments: [
            ("echo \"ModuleNotFoundError: No module named 'jieba'\" >&2; exit 1", EvaluationError.Kind.missingPackage),
            ("echo '{\"version\": \"0.39\", \"words\": []}'", .missingPackage),
            ("echo 'not JSON'", .helper),
            ("echo 'MemoryError' >&2; exit 1", .helper),
        ])
    func failingInterpreter(_ script: String, _ kind: EvaluationError.Kind) async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("#!/bin/sh\n\(script)\n", to: "python")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        let error = await #expect(throws: EvaluationError.self) {
            try await JiebaSegmenter(interpreter: file.path).segment(["你好"])
        }
        #expect(error?.kind == kind)
    }

    @Test("English files need no Python")
    func english() async throws {
        let score = try await AnswerMetric.questionF1.score(
            prediction: "a cat", reference: "The cat.", segmenter: JiebaSegmenter(interpreter: "/no/such/python"))
        #expect(score == 1)
    }
}
