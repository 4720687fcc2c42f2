"""`penstock completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from proxy.cli.frame import print_json, shared_options

SHELLS = ("bash", "zsh", "fish")
_ASKED_BY = "_PENSTOCK_COMPLETE"  # the variable by which click's scripts ask; from the program's name


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@shared_options
@click.pass_context
def completion(context: click.Context, shell: str, config: Path, as_json: bool) -> None:
    """Print the script that completes `penstock` in SHELL.

    \b
    bash   penstock completion bash > ~/.local/share/bash-completion/completions/penstock
    zsh    penstock completion zsh > a file _penstock in a folder of $fpath
    fish   penstock completion fish > ~/.config/fish/completions/penstock.fish
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    del config
    found = get_completion_class(shell)
    assert found is not None, f"click knows {shell}"
    script = found(context.find_root().command, {}, "penstock", _ASKED_BY).source()
    print_json({"shell": shell, "script": script}) if as_json else click.echo(script)
