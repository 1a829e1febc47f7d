/// One thing that LongGenBench expects in a numbered block.
public struct LongGenBenchCheck: Sendable, Hashable {
    /// The number of the block.
    public let number: Int
    /// What the block has to mention.
    public let event: String

    /// Creates a check.
    public init(number: Int, event: String) {
        self.number = number
        self.event = event
    }

    /// The question that a judge answers with yes or no, worded as MorphKV's copy of LongGenBench's `eval.py` words it;
    /// the original repository asks without the examples.
    public func prompt(block: String) -> String {
        Self.examples.joined(separator: "\n")
            + " \n ### Refer to the examples above for how to answer. \nContext: " + block
            + "\n\n### Instruction: Now, for the following context, does it include the \(event)? "
            + Self.request + " Answer: "
    }

    /// Whether a judge's answer counts as yes.
    public static func isYes(_ answer: String) -> Bool { CodePoints(answer).lowercased().contains("yes") }

    private static let request = "Please answer with 'yes' or 'no' only."

    private static let examples = [
        example(
            1,
            """
            The district's new residential area will feature two 10-story apartment buildings, a shopping mall, and a \
            park. The construction is set to begin at 9 AM, and the park will include a playground and jogging tracks. \
            The plan also includes space for a small medical clinic, which will open from 10 AM to 6 PM.
            """, about: "a medical clinic", answer: "yes"),
        example(
            2,
            """
            The menu for today's lunch at the office includes grilled turkey, mashed potatoes with gravy, roasted \
            vegetables, and pumpkin pie for dessert. The meal will be served from 12 PM to 2 PM, and there will be a \
            vegetarian option available. The meal is planned to accommodate 50 people, and the turkey will be served \
            with cranberry sauce.
            """, about: "mashed potatoes", answer: "yes"),
        example(
            3,
            """
            On April 15th, the weather was sunny with a high of 75°F. In the morning, I volunteered for a community \
            cleanup from 9 AM to 12 PM. We collected trash and planted 20 new trees along the riverbank. After lunch, I \
            helped organize the donation of clothes and food for a local shelter, where we served sandwiches and drinks. \
            The day ended at 4 PM.
            """, about: "long-distance running", answer: "no"),
    ]

    private static func example(_ number: Int, _ context: String, about event: String, answer: String) -> String {
        "Example \(number): Context: \(context) ### Instruction: Does this context include \(event)? "
            + "\(request) Answer: \(answer)"
    }
}
