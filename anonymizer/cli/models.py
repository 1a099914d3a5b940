"""`anonymizer models`: the networks in the package, and the proof that they are the ones their cards speak of."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from anonymizer.cli.printing import exit_codes, say, say_json, say_rows

EPILOG = exit_codes(0, 1, 2, 4)


def models(as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False) -> None:
    """Print the models' cards, hashes checked."""
    from anonymizer.detection import shipped_models, verify

    cards = shipped_models()
    for card in cards:
        verify(card)
    if as_json:
        say_json([_card_json(card) for card in cards])
        return
    for card in cards:
        say(card.name)
        say_rows(
            [
                ("finds", ", ".join(card.labels)),
                ("network", card.architecture),
                ("file", f"{card.file.name}, {card.size_bytes / 1e6:.1f} MB, sha256 {card.sha256}, checked"),
                ("licence", card.licence),
                ("data", "; ".join(card.data)),
                ("recipe", card.recipe),
            ]
        )


def _card_json(card: Any) -> dict[str, Any]:
    return {
        "name": card.name,
        "file": card.file.name,
        "task": card.task,
        "labels": list(card.labels),
        "architecture": card.architecture,
        "licence": card.licence,
        "sha256": card.sha256,
        "size_bytes": card.size_bytes,
        "input": dict(card.input),
        "data": list(card.data),
        "recipe": card.recipe,
        "figures": dict(card.figures),
    }
