"""Writes a checkpoint as GGUF, F16 or Q8_0, that libllama reads as architecture "llama", or "qwen3" with norms of queries
and keys.

    python export.py --run RUN --out diary-f16.gguf --type F16
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import torch
from torch import Tensor

from languages import LANGUAGES, Language
from model import Config, Llama
from tokenizer import BOS, EOS, SPECIAL, Tokenizer

TYPES = {"F16": gguf.GGMLQuantizationType.F16, "Q8_0": gguf.GGMLQuantizationType.Q8_0}
FILE_TYPES = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
NAMES = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "query_norm": "attn_q_norm",
    "key_norm": "attn_k_norm",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def load(run: Path, device: str = "cpu") -> tuple[Llama, Tokenizer, Language]:
    """The model of a training run, its tokenizer and its language."""
    saved = torch.load(run / "last.pt", weights_only=True, map_location=device)
    model = Llama(Config(**saved["config"])).to(device).eval()
    model.load_state_dict(saved["model"])
    return model, Tokenizer.load(run / "tokenizer.json"), LANGUAGES[saved.get("language", "diary")]


def interleave(weight: Tensor, head_dim: int) -> Tensor:
    """From rotating halves, as in model.py, to rotating neighbours, as libllama's "llama" does."""
    heads = weight.shape[0] // head_dim
    return weight.view(heads, 2, head_dim // 2, -1).transpose(1, 2).reshape(weight.shape)


def tensors(model: Llama) -> dict[str, Tensor]:
    """The weights by their names in GGUF."""
    found = {
        "token_embd.weight": model.embedding.weight,
        "output_norm.weight": model.norm.weight,
        "output.weight": model.head.weight,
    }
    for i, block in enumerate(model.blocks):
        for name, weight in block.named_parameters():
            part = name.removesuffix(".weight")
            if part in ("query", "key") and not model.config.qk_norm:  # "qwen3" rotates halves
                weight = interleave(weight, model.config.head_dim)
            found[f"blk.{i}.{NAMES[part]}.weight"] = weight
    return {name: weight.detach().float().cpu() for name, weight in found.items()}


def export(model: Llama, tokenizer: Tokenizer, language: Language, path: Path, kind: str) -> None:
    config = model.config
    writer = gguf.GGUFWriter(path, "qwen3" if config.qk_norm else "llama")
    writer.add_name(language.name)
    writer.add_description(language.description)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    if config.head_size:
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.eps)
    writer.add_vocab_size(config.vocab)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokenizer.tokens)
    special = gguf.TokenType.CONTROL
    writer.add_token_types([special if t in SPECIAL else gguf.TokenType.NORMAL for t in tokenizer.tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    for name, weight in tensors(model).items():
        wanted = TYPES[kind] if weight.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(weight.numpy(), wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--type", choices=TYPES, default="F16")
    args = parser.parse_args()
    export(*load(args.run), args.out, args.type)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
