internal import Ggml

extension Model {
    /// Bytes of what has to cross the network for one token: the hidden state to each device of another host and back, or the
    /// logits from the last one. 0 if all devices are this machine's.
    package var networkBytesPerToken: Int {
        let hidden = 4 * description.hiddenLength
        return placement.devices.enumerated().reduce(0) { sum, place in
            guard place.element.host != nil else { return sum }
            let isLast = place.offset == placement.devices.count - 1
            return sum + hidden + (isLast ? 4 * description.vocabularySize : hidden)
        }
    }
}
