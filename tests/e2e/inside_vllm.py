"""Run by vLLM's own Python: prints as JSON what the installed package has, without loading a model.

`everything` has every option and every kind of model on; `started ARGUMENT…` has what the arguments and the
environment of this process say, for a model that generates; `fetched DOMAIN URL…` tries a media address.
"""

import importlib
import json
import os
import sys
import typing
from types import SimpleNamespace

OPTIONS = (
    *("--enable-scale-out", "--tokens-only", "--enable-fault-tolerance", "--enable-tokenizer-info-endpoint"),
    *("--enable-offline-docs", "--enable-lora", "--profiler-config.profiler", "torch"),
    *("--profiler-config.torch_profiler_dir", "/tmp"),
)
VARIABLES = ("VLLM_SERVER_DEV_MODE", "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_ENABLE_COHERE_API")
TASKS = ("generate", "transcription", "realtime", "render")


class AnyModel:
    """In the place of a model's configuration: whatever task is asked of it, it has it."""

    hf_config = SimpleNamespace(num_labels=1)

    def get_pooling_task(self, tasks):
        """The first of the tasks that is one of pooling."""
        return next((task for task in tasks if task not in TASKS), None)


def built_app(arguments, tasks):
    """vLLM's application as its server builds it."""
    from vllm.entrypoints.launchers.app import build_app

    return build_app(parser().parse_args(list(arguments)), tasks, AnyModel())


def parser():
    """vLLM's parser of arguments."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    return make_arg_parser(FlexibleArgumentParser())


def routes_of(app):
    """(method, path) of each route; a mounted application takes every method, below its path too."""
    found = set()
    for route in app.routes:
        if type(route).__name__ == "Mount":
            found |= {("*", route.path), ("*", route.path + "/{path}")}
        elif "WebSocket" in type(route).__name__:
            found.add(("WEBSOCKET", route.path))
        else:
            found |= {(method, route.path) for method in route.methods}
    return sorted(found)


def fields_of(app):
    """The fields of what each route takes as its body, by model, with their types."""
    found = {}
    for route in app.routes:
        for parameter in getattr(getattr(route, "dependant", None), "body_params", ()):
            models = models_of(parameter.field_info.annotation)
            found[route.path] = {model.__name__: described(model) for model in models}
    return found


def models_of(annotation):
    """The models of a type, which may be a union of several."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_of(part)]


def described(model):
    """Each field's names and type."""
    named = {}
    for name, field in model.model_fields.items():
        for spelling in {name, field.alias or name}:
            named[spelling] = str(field.annotation)
    return named


def everything():
    """All that the package could open, for whatever model."""
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
    from vllm import envs
    from vllm.tasks import POOLING_TASKS

    app = built_app(OPTIONS, TASKS + POOLING_TASKS)
    return {
        "routes": routes_of(app) + routes_of(built_app((), ("generate",))),  # there, other pages of documents
        "fields": fields_of(app),
        "options": [action.option_strings for action in parser()._actions],
        "variables": sorted(envs.environment_variables),
    }


def started(*arguments):
    """The routes of a server that is started with these arguments."""
    return {"routes": routes_of(built_app(arguments, ("generate",)))}


def fetched(domain, *urls):
    """What becomes of each media address where only this domain is allowed."""
    connector = importlib.import_module("vllm.multimodal.media.connector")

    class Open:
        def get_bytes(self, *_args, **_options):
            raise ConnectionError("it would be fetched")

    media = connector.MediaConnector(connection=Open(), allowed_media_domains=[domain])
    outcome = {}
    for url in urls:
        try:
            media.load_from_url(url, connector.ImageMediaIO())
        except (ValueError, RuntimeError, OSError) as error:
            outcome[url] = str(error)
    return outcome


if __name__ == "__main__":
    said = {"everything": everything, "started": started, "fetched": fetched}[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write(json.dumps(said) + "\n")
