"""Which models of the gateways go into the file, and which variant of OpenCode's prompt fits into them."""

from collections.abc import Sequence
from dataclasses import replace

import click

from app.opencode.cards import tell
from app.opencode.config import FULL_WINDOW, ROOMY_WINDOW, SMALLEST, Gateway, Model, choose_variant


def choose_models(gateways: Sequence[Gateway], names: Sequence[str]) -> list[Gateway]:
    """The gateways with the named models only, in the order of the names; `PROVIDER/ID` names one exactly.

    Raises ClickException for a name that no gateway has.
    """
    if not names:
        return list(gateways)
    known = [(g, m) for g in gateways for m in g.models]
    chosen: dict[str, list[Model]] = {}
    for name in names:
        found = [(g, m) for g, m in known if name in (m.id, f"{g.provider}/{m.id}")]
        if not found:
            there = ", ".join(m.id for _, m in known)
            raise click.ClickException(f"No gateway has the model {name}; there are: {there}.")
        for gateway, model in found:
            chosen.setdefault(gateway.provider, []).append(model)
    by_name = {gateway.provider: gateway for gateway in gateways}
    return [replace(by_name[name], models=models) for name, models in chosen.items()]


def find_model(gateways: Sequence[Gateway], name: str) -> str:
    """How OpenCode writes the model of that name: `PROVIDER/ID`. Raises ClickException."""
    (gateway, *_) = choose_models(gateways, [name])
    return f"{gateway.provider}/{gateway.models[0].id}"


def fit(gateways: Sequence[Gateway], wished: str, must_fit: Sequence[str]) -> tuple[list[Gateway], str]:
    """The models whose windows hold OpenCode's prompt, and the variant of it; the others are told.

    Raises ClickException where a model that was named, or every model, is too small.
    """
    smallest = SMALLEST["slim" if wished == "auto" else wished]
    first = next((m for g in gateways for m in g.models if m.window >= smallest), None)
    variant = choose_variant(wished, first.window if first else 0)
    kept = []
    for gateway in gateways:
        too_small = [m for m in gateway.models if m.window < SMALLEST[variant]]
        for model in too_small:
            _tell_too_small(model, variant, is_final=bool(must_fit) or first is None)
        if models := [m for m in gateway.models if m not in too_small]:
            kept.append(replace(gateway, models=models))
            _tell_tight(models, variant)
    if variant == "slim":
        tell("Some of OpenCode's tools are switched off to make room in the window.")
    return kept, variant


def _tell_too_small(model: Model, variant: str, *, is_final: bool) -> None:
    would_fit = " (--variant slim would fit)" if model.window >= SMALLEST["slim"] else ""
    reason = f"{model.id} has a window of {model.window} tokens, too small for OpenCode{would_fit}"
    if is_final:
        raise click.ClickException(
            f"{reason}: set MAX_MODEL_LEN to {SMALLEST[variant]} or more, better {ROOMY_WINDOW}."
        )
    tell(f"{reason}; it is left out.")


def _tell_tight(models: Sequence[Model], variant: str) -> None:
    for model in models:
        if model.window < (FULL_WINDOW if variant == "slim" else ROOMY_WINDOW):
            tell(
                f"{model.id} has a window of {model.window} tokens: enough for small tasks only; "
                f"{ROOMY_WINDOW} and more is comfortable."
            )
