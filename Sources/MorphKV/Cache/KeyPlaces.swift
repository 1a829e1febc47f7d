internal import CAttention
internal import Ggml

/// How the pairs of numbers lie that positions rotate, in queries that are turned for keys in another frame.
struct QueryTurn: Hashable {
    /// Pairs that rotate.
    let pairs: Int
    /// Which numbers form one.
    let pairing: RopeParameters.Pairing

    init(_ rope: RopeParameters) {
        pairs = rope.dimensions / 2
        pairing = rope.pairing
    }
}

/// Keys that were moved stand in a frame of their own, at places that are counted from the floor.
///
/// Keys of few bits lose something each time they are turned. So they turn once, to their place; when the floor rises the
/// frame moves with it, and queries are turned back by how far it stands ahead. Only when too many places below them have
/// become empty are keys moved up once more.
struct KeyPlaces {
    /// One more than an entry's place; 0 for entries whose keys are where they were written. f32 `[slots, kvHeads]`.
    let numbers: Tensor
    /// How far the frame stands ahead of what queries are rotated by.
    let turn: Turn

    /// A rotation, as the kernel and graphs read it.
    struct Turn {
        /// Cosines, then sines: f32 `[pairs, 2]`.
        let tensor: Tensor
        let shape: QueryTurn

        /// Makes it a rotation by so many positions.
        func write(_ frequencies: RopeFrequencies, by positions: Int) {
            let (cosines, sines) = frequencies.turn(by: positions)
            tensor.write(cosines + sines)
        }

        /// Cosines or sines of every pair: `[pairs, 1]`.
        fileprivate func row(_ index: Int, in graph: Graph) -> Tensor {
            graph.view(tensor, [shape.pairs, 1], strides: [4 * shape.pairs], offset: index * 4 * shape.pairs)
        }
    }

    init(_ turn: QueryTurn, _ shape: SlotShape, in arena: Arena) {
        numbers = shape.tensor("places", in: arena)
        self.turn = Turn(tensor: arena.tensor(.f32, [turn.pairs, 2], name: "queryTurn"), shape: turn)
    }

    func clear() {
        numbers.fill(byte: 0)
        turn.tensor.fill(byte: 0)
    }

    func describe(in slots: inout attention_slots) {
        slots.places = numbers.hostFloats
        slots.turn = UnsafePointer(turn.tensor.hostFloats)
        slots.turned_pairs = Int32(turn.shape.pairs)
        slots.turns_neighbours = turn.shape.pairing == .neighbours
    }
}

extension LayerCache {
    /// What says where keys were moved to, by the name that saved files have for it; nil if keys are never moved.
    var savedMoves: (name: String, tensor: Tensor)? {
        if let places { return ("places", places.numbers) }
        return movedPositions.map { ("moved", $0) }
    }

    /// Notes that the sequence goes on in another frame, and says what has to be done; see ``moveEntries(from:to:seen:)``.
    func placeMoves(_ places: KeyPlaces, from old: RotaryFrame, to new: RotaryFrame, seen: Int) -> KeyMoves {
        var numbers: [Float] = places.numbers.values()
        var moves = KeyMoves()
        let (floor, bottom) = (plan.floor!, new.floor + origin)
        // Some places may stay empty between others, as long as the newest entries need not move up for it.
        let most = max(0, min(floor.stride / 2, seen - new.floor - floor.entries))
        for (head, entries) in entries(seen: seen).enumerated() {
            let held = entries.map { Int(numbers[head * slots + $0.slot]) }.filter { $0 > 0 }
            let closesGaps = new.floor > old.floor && (held.last ?? 0) - held.count > most
            var taken = 0
            for entry in entries {
                let row = head * slots + entry.slot
                let before = Int(numbers[row])
                var after = 0
                if new.floor > 0, before > 0 || entry.position < bottom + taken {
                    after = before > 0 && !closesGaps ? before : taken + 1
                    taken = after
                }
                let from = before > 0 ? before - 1 : entry.position - old.base
                let to = after > 0 ? after - 1 : entry.position - new.base
                let turn = attention_turn(row: Int32(row), distance: Int32(to - from))
                if from != to { moves.rows.append(turn) }
                if from != to || after > 0 { moves.changed.append(turn) }
                numbers[row] = Float(after)
            }
        }
        places.numbers.write(numbers)
        return moves
    }

    /// The keys in the slots, those that stand in a frame of their own turned to where the others are:
    /// `[headDim, slots, kvHeads]`.
    func keysInOneFrame(in graph: Graph) -> Tensor {
        guard let places else { return keys }
        let rows = graph.cast(graph.reshape(keys, [keys[0], keys[1] * keys[2]]), to: .f32)
        let turn = places.turn
        let turned = graph.rotated(
            rows, turn.shape.pairing, cosines: turn.row(0, in: graph), sines: turn.row(1, in: graph))
        let isMoved = graph.reshape(graph.step(places.numbers), [1, rows[1]])
        let all = graph.add(rows, graph.multiply(graph.subtract(turned, rows), isMoved))
        return graph.reshape(all, [keys[0], keys[1], keys[2]])
    }
}
