internal import Ggml

extension LayerCache {
    /// What is saved of it.
    var savedTensors: [(name: String, tensor: Tensor, layout: SavedLayout)] {
        tensors.map { name, tensor in
            if tensor.isSame(as: values) { return (name, tensor, plan.storesRows ? .same : .transposed) }
            return (name, tensor, scores?.state.layout(ofSaved: name) ?? .same)
        }
    }
}
