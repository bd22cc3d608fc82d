"""Turn a GGUF file into the folder of safetensors that vLLM serves; runs in vLLM's environment.

python -m launch.convert_gguf MODEL.gguf FOLDER
"""

import json
import sys
from pathlib import Path

# What vLLM takes where a request names nothing. Sampled, a model this small answers every third question with
# nonsense that has no end; its likeliest tokens are right.
SAMPLING = {"temperature": 0.0, "max_new_tokens": 2048}


def convert(source: Path, folder: Path) -> None:
    """Write weights (bfloat16), tokenizer, configuration and sampling of `source` to `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Nothing is downloaded: both read a folder of this machine.
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)  # nosec B615
    model = AutoModelForCausalLM.from_pretrained(  # nosec B615
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    defaults = folder / "generation_config.json"
    defaults.write_text(json.dumps({**json.loads(defaults.read_text()), **SAMPLING}, indent=2))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
