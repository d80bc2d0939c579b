"""The verbs of the command line that train, and that build what is trained on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.errors import UserError


def train(
    method: Annotated[
        list[str], typer.Argument(metavar="METHOD", help="As `sepbench list trainers` has it.")
    ],
    target: Annotated[str, typer.Option(help="What to separate: its stems' name.")] = "speech",
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Tracks: a folder of stems each, MUSDB18 or MedleyDB; may be repeated."),
    ] = None,
    speech: Annotated[
        list[Path] | None,
        typer.Option(help="Or a pool of the target's sounds, a sub-folder each speaker,"),
    ] = None,
    background: Annotated[
        list[Path] | None,
        typer.Option(help="and one of backgrounds, a sub-folder each kind, to mix it with."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder. [models/METHOD-TARGET]")
    ] = None,
    start: Annotated[
        str,
        typer.Option("--from", metavar="WEIGHTS", help="'pretrained', or a file of yours."),
    ] = "",
    epochs: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches an epoch. [once through the data]")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Examples a batch. [the method's]")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, help="How long an example is. [the method's]")
    ] = None,
    snr_db: Annotated[
        tuple[float, float], typer.Option("--snr-db", help="Pools: speech over background, in dB.")
    ] = (-5, 12),
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Of Adam, at the start. [the method's]")
    ] = None,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better validation before it stops.")
    ] = 20,
    drop_patience: Annotated[
        int, typer.Option(min=0, help="Epochs without one before the learning rate falls,")
    ] = 6,
    drop_factor: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="and to what share of itself.")
    ] = 0.3,
    valid_examples: Annotated[
        int, typer.Option(min=1, help="Examples scored after each epoch.")
    ] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Multiply in bfloat16, for speed.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Of the processor; 0: all.")] = 0,
    half: Annotated[bool, typer.Option("--half", help="Keep weights in half precision.")] = False,
    licence: Annotated[str, typer.Option(help="Of the weights, for the card.")] = "",
    data_licence: Annotated[str, typer.Option(help="Of the data, for the card.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew in that folder.")] = False,
) -> None:
    """Train a method for a target of your own, from a folder of tracks or two pools of sounds.

    A training that was stopped goes on when the same command is given again. The folder gets the
    weights (`TARGET.safetensors`, with a JSON and a card), the curves, and a TensorBoard log. Use
    them with `-p METHOD.model=FOLDER/TARGET.safetensors`. The sizes of the network are flags too:
    `sepbench list trainers` shows them.

    Example: `sepbench train open-unmix --target vocals --data MUSDB18 --hidden 256`

    Example: `sepbench train cnn-ibm --speech readings/ --background noises/ -o my-model`
    """
    import shlex

    from benchmarks import console
    from benchmarks.options import split_flags
    from benchmarks.training import train as training

    names, flags = split_flags(method)
    if len(names) != 1:
        raise UserError(f"name one method to train, not {' '.join(names) or 'none'}")
    request = training.Request(
        names[0], target, data or [], speech or [], background or [],
        output or Path("models") / f"{names[0]}-{target}", flags, start, seconds, snr_db, epochs,
        steps, batch, valid_examples, learning_rate, patience, drop_patience, drop_factor, seed,
        mixed, device, threads, half, licence, data_licence, fresh,
        shlex.join(["sepbench", *sys.argv[1:]]),
    )  # fmt: skip
    file = training.train(request, say=console.say, bar=console.progress_bar)
    console.say(f"The model: {file}")
