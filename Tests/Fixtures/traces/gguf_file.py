"""GGUF files, MorphKV's checksum of bytes, the seal of its files and the fingerprint of a model: formats, no rule of any policy."""
import struct
import numpy as np

ALIGNMENT, SEAL = 32, "checksum"
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", 10: "Q", 11: "q", 12: "d"}
TENSOR_TYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 26: np.dtype("<i4")}
TYPE_NAMES = {np.dtype("<f4"): "f32", np.dtype("<f2"): "f16", np.dtype("<i4"): "i32"}
MASK = (1 << 64) - 1


# ---------------------------------------------------------------------------------------------- checksum
def checksum(data):
    """64 bits from four running products of little-endian 64-bit words; see Sources/Ggml/Checksum.swift."""
    prime = 0x9E3779B185EBCA87
    lanes = [1, 2, 3, 4]
    padded = data + bytes(32 - len(data) % 32)            # a whole block of zeros if nothing is missing
    for index, word in enumerate(struct.unpack(f"<{len(padded) // 8}Q", padded)):
        value = ((lanes[index % 4] ^ word) * prime) & MASK
        lanes[index % 4] = ((value << 29) | (value >> 35)) & MASK
    result = len(data)
    for lane in lanes:
        result = ((result ^ lane) * prime) & MASK
        result ^= result >> 31
    return result


# ---------------------------------------------------------------------------------------------- files
def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def typed(value):
    """A value of a key with its type: bool, int (32 bits), float, str, or a list of ints or floats."""
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", U32, value)
    if isinstance(value, float):
        return struct.pack("<If", F32, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text(value)
    kind = F32 if isinstance(value[0], float) else I32
    return struct.pack(f"<IIQ{len(value)}{SCALARS[kind]}", ARRAY, kind, len(value), *value)


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def write(path, keys, tensors, sealed=False):
    """Writes a file; a sealed one ends with a tensor that is the checksum of all bytes before it."""
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    if sealed:
        arrays[SEAL] = np.zeros(2, "<i4")
    header = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), len(keys))
    for name, value in keys.items():
        header += text(name) + typed(value)
    offset, number = 0, {dtype: number for number, dtype in TENSOR_TYPES.items()}
    for name, array in arrays.items():
        extents = array.shape[::-1]
        header += text(name) + struct.pack(f"<I{len(extents)}Q", len(extents), *extents)
        header += struct.pack("<IQ", number[array.dtype], offset)
        offset += len(padded(array.tobytes()))
    data = padded(header) + b"".join(padded(a.tobytes()) for name, a in arrays.items() if not (sealed and name == SEAL))
    if sealed:
        data += padded(struct.pack("<Q", checksum(data)))
    with open(path, "wb") as file:
        file.write(data)


class File:
    """A file that was read: keys, arrays (slowest dimension first), and where each tensor's bytes lie."""

    def __init__(self, path):
        self.data, self.at = open(path, "rb").read(), 4
        assert self.data[:4] == b"GGUF"
        _, tensor_count, key_count = self.take("IQQ")
        self.keys = {}
        for _ in range(key_count):
            name = self.string()
            self.keys[name] = self.value(*self.take("I"))
        found = []
        for _ in range(tensor_count):
            name = self.string()
            extents = self.take(f"{self.take('I')[0]}Q")
            found.append((name, extents, *self.take("IQ")))
        start = -(-self.at // ALIGNMENT) * ALIGNMENT
        self.tensors, self.places = {}, {}
        for name, extents, number, offset in found:
            array = np.frombuffer(self.data, TENSOR_TYPES[number], int(np.prod(extents)), start + offset)
            self.tensors[name] = array.reshape(extents[::-1])
            self.places[name] = start + offset

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def string(self):
        length, = self.take("Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            inner, count = self.take("IQ")
            return [self.value(inner) for _ in range(count)]
        return self.take(SCALARS[kind])[0]

    def is_sealed(self):
        """Whether the last tensor is the checksum of all bytes before it."""
        place = self.places[SEAL]
        return struct.unpack_from("<Q", self.data, place)[0] == checksum(self.data[:place])


# ---------------------------------------------------------------------------------------------- fingerprint
def fingerprint(file):
    """What tells models apart, 16 hexadecimal digits; see Sources/MorphKV/Model/Fingerprint.swift. Llama, Qwen 3 and
    gpt-oss without windows."""
    architecture = file.keys["general.architecture"]
    key = lambda name, otherwise=None: file.keys.get(f"{architecture}.{name}", otherwise)
    heads, dimension, context = key("attention.head_count"), key("attention.key_length"), key("context_length")
    is_llama = architecture == "llama"
    data = architecture.encode()
    data += b"rope_freqs.weight" if "rope_freqs.weight" in file.tensors else b""
    data += struct.pack(
        "<10q", file.tensors["token_embd.weight"].shape[0], key("embedding_length"), key("feed_forward_length"), heads,
        key("attention.head_count_kv", heads), dimension, key("block_count"), 0, int(architecture == "qwen3"), 0)
    data += struct.pack(
        "<4f", key("attention.layer_norm_rms_epsilon"), 1, np.float32(1) / np.sqrt(np.float32(dimension)), 0)
    factor = key("rope.scaling.factor", 0.0)
    scale = np.float32(1) / np.float32(factor) if factor else 1
    has_sinks = architecture == "gpt-oss"
    for _ in range(key("block_count")):
        data += struct.pack("<4q", 0, 0 if is_llama else 2, key("rope.dimension_count", dimension), context)
        data += struct.pack("<6f", key("rope.freq_base"), scale, 0, 1, 32, 1)
        data += f"experts {key('expert_used_count')} true 1.0 true".encode() if has_sinks else b""
    data += b"sinks" if has_sinks else b""
    for name in sorted(file.tensors):
        array, place = file.tensors[name], file.places[name]
        data += f"{name} {TYPE_NAMES[array.dtype]} {list(array.shape[::-1])}".encode()
        sample = min(64, array.nbytes)
        for index in range(16):
            offset = place + (array.nbytes - sample) * index // 15
            data += file.data[offset:offset + sample]
    return f"{checksum(data):016x}"
