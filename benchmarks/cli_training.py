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
        float | None, typer.Option(min=1e-9, help="Of Adam, at the start. [the method's]")
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
        method=names[0],
        target=target,
        data=data or [],
        speech=speech or [],
        background=background or [],
        output=output or Path("models") / f"{names[0]}-{target}",
        options=flags,
        start=start,
        seconds=seconds,
        snr_db=snr_db,
        epochs=epochs,
        steps=steps,
        batch=batch,
        valid_examples=valid_examples,
        learning_rate=learning_rate,
        patience=patience,
        drop_patience=drop_patience,
        drop_factor=drop_factor,
        seed=seed,
        mixed=mixed,
        device=device,
        threads=threads,
        half=half,
        licence=licence,
        data_licence=data_licence,
        fresh=fresh,
        command=shlex.join(["sepbench", *(word for word in sys.argv[1:] if word != "--fresh")]),
    )
    try:
        file = training.train(request, say=console.say, bar=console.progress_bar)
    except KeyboardInterrupt:
        console.say("Stopped. All whole epochs are kept; the same command goes on with the next.")
        raise
    console.say(f"The model: {file}")


def training_set(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="speech, band, or a recipe of yours, NAME.toml.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder. [data/training/NAME]")
    ] = None,
    tracks: Annotated[int, typer.Option(min=1, help="Of band: how many to train on.")] = 60,
    seconds: Annotated[float, typer.Option(min=1, help="Of band: how long each is.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of band: other seeds, other songs.")] = 0,
) -> None:
    """Build one of the sets that the shipped models were trained on.

    `speech` is two pools, of talkers and of what they stand in, out of freely licensed packages
    that are fetched without root, each checked by its hash (3 GB). `band` is songs that this
    project composes and plays stem by stem on free soundfonts (`pip install 'sepbench[band]'`).
    Each folder gets a SOURCES.md with origins and licences. What is there already is kept.

    Example: `sepbench training-set speech`, then `sepbench train open-unmix --speech
    data/training/speech/speech --background data/training/speech/background`
    """
    from benchmarks import console

    own = Path(name).suffix == ".toml"
    folder = output or Path("data/training") / Path(name).stem
    with console.progress_bar(Path(name).stem) as progress:
        if name == "band":
            from benchmarks.training import band

            band.build(folder, tracks=tracks, seconds=seconds, seed=seed, progress=progress)
        else:
            from benchmarks.training import material

            material.build(Path(name) if own else name, folder, progress=progress)
    if name == "band":
        how = f'open-unmix --target "acoustic guitar" --data {folder}'
    else:
        how = f"open-unmix --speech {folder}/speech --background {folder}/background"
    console.say(f"Train on it: sepbench train {how}")
