"""Runs the task in a folder with lm-evaluation-harness against a server; prints the log-likelihoods of its texts as a JSON list."""
import json
import os
import pathlib
import subprocess
import sys

server, folder = sys.argv[1], pathlib.Path(sys.argv[2])
# Nothing is fetched, and what the harness keeps goes with the folder.
environment = os.environ | {
    "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "any",
}
arguments = f"model=any,base_url={server}/v1/completions,num_concurrent=2,max_retries=1"
subprocess.run(
    [sys.executable, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args", arguments,
     "--tasks", "morphkv_texts", "--include_path", str(folder), "--output_path", str(folder / "results"), "--log_samples"],
    env=environment, check=True)
[samples] = (folder / "results").rglob("samples_*.jsonl")
rows = sorted((json.loads(line) for line in samples.read_text().splitlines()), key=lambda row: row["doc_id"])
print(json.dumps([float(row["resps"][0][0]) for row in rows]))
