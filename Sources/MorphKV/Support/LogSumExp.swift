internal import Foundation

extension [Float] {
    /// The logarithm of the sum of the exponentials: a logit less this is the logarithm of its token's probability.
    var logSumExp: Double {
        let highest = Double(self.max() ?? 0)
        return highest + log(reduce(0) { $0 + exp(Double($1) - highest) })
    }
}
