"""Turn a GGUF file into the folder of safetensors that vLLM serves; runs in vLLM's environment.

python -m launch.convert_gguf MODEL.gguf FOLDER
"""

import sys
from pathlib import Path


def convert(source: Path, folder: Path) -> None:
    """Write weights in bfloat16, configuration and tokenizer of `source` to `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
