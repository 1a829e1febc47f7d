public import Foundation

/// SQuAD 1.1 as published: one JSON document of articles, paragraphs and questions.
public enum Squad {
    /// Reads the paragraphs with their questions.
    public static func samples(at file: URL) throws -> [SharedContextSample] {
        let articles = try DataFile(file).document().list("data")
        return try articles.flatMap { article in try article.list("paragraphs").map(paragraph) }
    }

    private static func paragraph(_ record: JSONRecord) throws -> SharedContextSample {
        let questions = try record.list("qas").map { question in
            try SharedContextSample.Question(
                question.text("question"), answers: question.list("answers").map { try $0.text("text") })
        }
        return try SharedContextSample(context: record.text("context"), questions: questions)
    }
}
