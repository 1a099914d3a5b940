"""`anonymizer config`: what would be used, what there is, and where each value comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from anonymizer.cli.flags import ConfigFile, ProfileName, config_from
from anonymizer.cli.printing import exit_codes, say, say_json, say_rows

EPILOG = exit_codes(0, 1, 2)
app = typer.Typer(help="Show the configuration, its keys and profiles.", rich_markup_mode=None, invoke_without_command=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def config(context: typer.Context) -> None:
    """Show the configuration, its keys and profiles."""
    if context.invoked_subcommand is None:
        say(context.get_help())


@app.command(epilog=EPILOG)
def show(context: typer.Context, profile: ProfileName = "default", config: ConfigFile = None, as_json: Json = False) -> None:
    """Print every value and where it came from."""
    from anonymizer.config import all_keys, config_hash, said_value, value_at

    loaded = config_from(context.params)
    if as_json:
        origins = {key: loaded.origin(key) for key in all_keys()}
        say_json({"values": loaded.config.model_dump(mode="json"), "origins": origins, "hash": config_hash(loaded.config)})
        return
    rows = [(key, said_value(value_at(loaded.config, key)), loaded.origin(key)) for key in all_keys()]
    width = max(len(value) for _, value, _ in rows)
    say_rows((key, f"{value:<{width}}  {origin}") for key, value, origin in rows)


@app.command(epilog=EPILOG)
def keys(markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/config.md.")] = False, as_json: Json = False) -> None:
    """Print every key, what may be written there, and what it does."""
    from anonymizer.config import config_keys, config_page

    if markdown:
        say(config_page().rstrip("\n"))
        return
    if as_json:
        say_json([{"key": key.name, "values": key.values, "default": key.default, "description": key.description} for key in config_keys()])
        return
    for key in config_keys():
        say(f"{key.name}  ({key.values.replace('`', '')}; default: {key.default})")
        say(f"    {key.description.replace('`', '')}")


@app.command(epilog=EPILOG)
def profiles() -> None:
    """Print the profiles that come with the program."""
    from anonymizer.config import profile_names

    for name in profile_names():
        say(name)
