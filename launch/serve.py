"""`make serve`: check the machine, make what is missing, start vLLM and the gateway, say how to use them."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from launch import ROOT, environments, host, models
from launch.environments import Environment
from launch.key_file import create_key_file
from launch.models import Model
from launch.progress import StepFailed, say
from launch.session import Session

PREPARED_GIGABYTES = 1.0  # the default model, and the package that it comes in

READY = """
Ready: {url}, model {model}

  export API_KEY={key}
  curl -N {url}/v1/chat/completions -H "X-API-Key: $API_KEY" -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "stream": true,
         "messages": [{{"role": "user", "content": "What is the capital of France?"}}]}}'

Status page, for a browser: {url}/admin/   metrics, for Prometheus: {url}/metrics   (scope admin)

For OpenCode, in your project's folder (the second line writes opencode.json):

  export VLLM_API_KEY=$API_KEY
  {flask} --app {wsgi} opencode-config --url {url}

Ctrl-C ends both.
"""


def main() -> int:
    """Everything from a fresh clone to an answer; returns an exit code."""
    parser = argparse.ArgumentParser(prog="make serve", description=__doc__)
    parser.add_argument("--prepare", action="store_true", help="install and prepare, but start nothing")
    only_prepare: bool = parser.parse_args().prepare
    environ = {name: value for name, value in os.environ.items() if value.strip()}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _run(environ, only_prepare=only_prepare)
    except (host.Unfit, StepFailed) as error:
        sys.stderr.write(f"serve: {error}\n")
    except OSError as error:
        sys.stderr.write(f"serve: {error.filename or 'the disk'}: {error.strerror}\n")
    except KeyboardInterrupt:
        sys.stderr.write("\nserve: interrupted; the next call goes on from here\n")
        return 130
    return 1


def _interrupt(_number: int, _frame: object) -> None:
    """As Ctrl-C, so that the step that runs is ended too."""
    raise KeyboardInterrupt


def _run(environ: Mapping[str, str], *, only_prepare: bool) -> int:
    host.check_system()
    if "MODEL_PATH" in environ and "MODEL_NAME" not in environ:
        raise host.Unfit("MODEL_PATH needs MODEL_NAME: the name by which clients ask for that model.")
    address = environ.get("HOST", "127.0.0.1"), environ.get("PORT", "8080")
    keys_file = Path(environ.get("API_KEYS_FILE", ROOT / "keys.json")).absolute()
    if not only_prepare:
        host.check_port(*address)
        host.check_folder(keys_file.parent)
    has_gpu = host.has_nvidia_gpu()
    model = models.choose_model(environ.get("MODEL_NAME"), has_gpu=has_gpu)
    _prepare(model, environments.VLLM_GPU if has_gpu else environments.VLLM_CPU)
    return 0 if only_prepare else _serve(model, address, keys_file, environ)


def _prepare(model: Model, vllm: Environment) -> None:
    missing = [each for each in (environments.GATEWAY, vllm) if not environments.is_installed(each)]
    gigabytes = sum(each.gigabytes for each in missing)
    if not models.is_prepared(model):
        gigabytes += PREPARED_GIGABYTES
    if gigabytes:
        host.check_disk(ROOT, gigabytes)
    for each in missing:
        environments.install(each)
    models.prepare(model)


def _serve(model: Model, address: tuple[str, str], keys_file: Path, environ: Mapping[str, str]) -> int:
    new_key = create_key_file(keys_file, environments.GATEWAY.python)
    known = models.known_load_seconds(model.name)
    settings = {
        "LOG_FORMAT": "text",
        "VLLM_LOGGING_LEVEL": "WARNING",
        **({} if known is None else {"MODEL_LOAD_SECONDS": str(known)}),
        **model.settings,
        **environ,
        "MODEL_NAME": model.name,
        "API_KEYS_FILE": str(keys_file),
    }
    extra = (model.settings.get("VLLM_EXTRA_ARGS"), environ.get("VLLM_EXTRA_ARGS"))
    settings["VLLM_EXTRA_ARGS"] = " ".join(filter(None, extra))
    say(f"starting vLLM with {model.name}, and the gateway")
    session = Session(settings, *address)
    ready = READY.format(
        url=session.url,
        model=model.name,
        key=f"{new_key}   # new, kept in {keys_file}" if new_key else f"…   # a key of {keys_file}",
        flask=shlex.quote(str(environments.GATEWAY.python.with_name("flask"))),
        wsgi=shlex.quote(str(ROOT / "wsgi")),
    )
    return session.run(ready, on_ready=lambda seconds: models.remember_load_seconds(model.name, seconds))
