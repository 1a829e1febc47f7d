#!/usr/bin/env python3
"""make.py: files of head scores in the form in which PyTorch writes a tensor, without PyTorch.

half.pt and brain.pt hold [2 layers, 4 KV heads] as KVzip's published files do (16-bit floats that lay on a GPU); head h of layer
l has the score (1 + 4 l + h) / 16. transposed.pt has the same numbers in 32 bits, column by column, behind two others, and a
leading dimension of 1. The others are what a reader must refuse: a call of os.system, a list, a compressed archive.
"""
import io
import pathlib
import struct
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SCORES = [(1 + index) / 16 for index in range(8)]


class Stream(io.RawIOBase):
    """A file that cannot be gone back in, so that sizes stand behind the contents, as in PyTorch's files."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def name(module, what):
    return b"c" + module + b"\n" + what + b"\n"


def text(words):
    return b"X" + struct.pack("<I", len(words)) + words


def numbers(values):
    return b"(" + b"".join(b"K" + bytes([value]) for value in values) + b"t"


def description(kind, count, offset, shape, strides):
    storage = b"(" + text(b"storage") + b"q\x01" + name(b"torch", kind) + b"q\x02" + text(b"0") + b"q\x03" + text(b"cuda:0")
    storage += b"q\x04M" + struct.pack("<H", count) + b"tq\x05Q"
    tensor = b"K" + bytes([offset]) + numbers(shape) + b"q\x06" + numbers(strides) + b"q\x07\x89"
    hooks = name(b"collections", b"OrderedDict") + b"q\x08)Rq\x09"
    return b"\x80\x02" + name(b"torch._utils", b"_rebuild_tensor_v2") + b"q\x00(" + storage + tensor + hooks + b"tq\x0aRq\x0b."


def write(file, pickle, data, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(Stream(HERE / file), "w", method) as archive:
        for part, content in [("data.pkl", pickle), ("byteorder", b"little"), ("data/0", data), ("version", b"3\n")]:
            archive.writestr(zipfile.ZipInfo(f"{file[:-3]}/{part}"), content, method)


def main():
    half = struct.pack("<8e", *SCORES)
    write("half.pt", description(b"HalfStorage", 8, 0, [2, 4], [4, 1]), half)
    brain = b"".join(struct.pack("<f", score)[2:] for score in SCORES)
    write("brain.pt", description(b"BFloat16Storage", 8, 0, [2, 4], [4, 1]), brain)
    columns = [0.5, 0.25] + [SCORES[4 * layer + head] for head in range(4) for layer in range(2)]
    write("transposed.pt", description(b"FloatStorage", 10, 2, [1, 2, 4], [8, 1, 2]), struct.pack("<10f", *columns))
    write("call.pt", b"\x80\x02" + name(b"os", b"system") + text(b"true") + b"\x85R.", half)
    write("list.pt", b"\x80\x02]q\x00.", half)
    write("compressed.pt", description(b"HalfStorage", 8, 0, [2, 4], [4, 1]), half, zipfile.ZIP_DEFLATED)


main()
