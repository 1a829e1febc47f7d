internal import Foundation
internal import MorphEval
internal import Synchronization

/// Shows how far a run is: one line that is rewritten on a terminal, one line a sample elsewhere.
final class ProgressDisplay: Sendable {
    private struct State {
        var status: StatusLine
        var lastDone: Int?
        var isFinished = false
    }

    private let state: Mutex<State>

    init() { state = Mutex(State(status: StatusLine(isShown: Output.isTerminal(.standardError)))) }

    /// Takes note of how far the run is.
    func show(_ progress: EvaluationRunner.Progress) {
        state.withLock { state in
            guard !state.isFinished else { return }
            if state.status.isShown { return state.status.show(Self.bar(progress)) }
            guard let done = state.lastDone else {
                state.lastDone = progress.done
                if progress.resumed > 0 { Self.print("continuing after \(progress.resumed) of \(progress.total)") }
                return
            }
            // A hundred lines at most.
            let (now, before) = (progress.done * 100, done * 100)
            guard now / max(progress.total, 1) > before / max(progress.total, 1) else { return }
            state.lastDone = progress.done
            Self.print("\(progress.done) of \(progress.total)\(Self.timeLeft(progress))")
        }
    }

    /// Takes note of how much of some other work is done.
    func show(done: Int, of total: Int) { show(EvaluationRunner.Progress(total: total, done: done, resumed: 0)) }

    /// The same with the time left, from the time that this call took for what an earlier one had not done.
    func show(done: Int, of total: Int, resumed: Int, since start: ContinuousClock.Instant) {
        var progress = EvaluationRunner.Progress(total: total, done: done, resumed: resumed)
        let share = Double(done - resumed) / Double(max(1, total - resumed))
        if share > 0 { progress.secondsLeft = (ContinuousClock.now - start) / .seconds(1) * (1 / share - 1) }
        show(progress)
    }

    /// Gives the line back.
    func finish() {
        state.withLock { state in
            guard !state.isFinished else { return }
            state.isFinished = true
            state.status.clear()
        }
    }

    private static func bar(_ progress: EvaluationRunner.Progress) -> String {
        let width = 30
        let filled = progress.total > 0 ? progress.done * width / progress.total : width
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        let current = progress.current.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value) tokens" }.joined()
        return "\(bar) \(progress.done)/\(progress.total)\(timeLeft(progress))\(current)"
    }

    private static func timeLeft(_ progress: EvaluationRunner.Progress) -> String {
        guard let seconds = progress.secondsLeft, progress.done < progress.total else { return "" }
        let whole = Int(seconds.rounded(.up))
        let text =
            whole >= 3600
            ? String(format: "%d h %02d min", whole / 3600, whole % 3600 / 60)
            : whole >= 60 ? String(format: "%d min %02d s", whole / 60, whole % 60) : "\(whole) s"
        return ", about \(text) left"
    }

    private static func print(_ line: String) { try? Output.write(line + "\n", to: .standardError) }
}
