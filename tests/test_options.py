"""Options: from the words of a command line to typed values, or one clear line."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest

from benchmarks.contract import Clip, ContractError, Estimate, Option, method
from benchmarks.errors import UserError
from benchmarks.options import parse_options, split_assignments


@method(family="dsp")
def sample(
    clip: Clip,
    *,
    width_seconds: Annotated[float, Option("a width, in seconds", minimum=0)] = 2.0,
    taps: Annotated[int, Option("how many", minimum=1, maximum=9)] = 3,
    shape: Annotated[Literal["hann", "sine"], Option("a window")] = "hann",
    fast: Annotated[bool, Option("whether to hurry")] = False,
    model: Annotated[str | None, Option("a path")] = None,
) -> Estimate:
    """Has an option of every kind."""
    return Estimate(clip.mixture, clip.mixture)


def test_each_kind_is_typed_and_the_rest_keep_their_defaults() -> None:
    given = {"width_seconds": "3", "taps": "4", "shape": "sine", "fast": "yes", "model": "x/y"}
    parsed = parse_options(sample, given)
    assert parsed == {
        "width_seconds": 3.0, "taps": 4, "shape": "sine", "fast": True, "model": "x/y"
    }  # fmt: skip
    assert parse_options(sample, {"model": "none"})["model"] is None
    assert parse_options(sample, {})["width_seconds"] == 2.0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("width_seconds", "wide", "sample.width_seconds takes a number, 0 or more; 'wide' is not"),
        ("width_seconds", "-1", "0 or more"),
        ("width_seconds", "nan", "'nan' is not that"),
        ("taps", "2.5", "a whole number"),
        ("taps", "10", "at most 9"),
        ("shape", "flat", "one of hann, sine"),
        ("fast", "perhaps", "true or false"),
        ("with_seconds", "1", "Did you mean width_seconds?"),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_it_takes(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        parse_options(sample, {name: value})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_assignments_are_sorted_by_plugin() -> None:
    assert split_assignments(["a.x=1", "b.y=2=3", "a.z="]) == {
        "a": {"x": "1", "z": ""}, "b": {"y": "2=3"}
    }  # fmt: skip
    for wrong in ("a", "a=1", "a.x", ".x=1", "a.=1"):
        with pytest.raises(UserError, match=r"PLUGIN\.OPTION=VALUE"):
            split_assignments([wrong])


def test_an_option_without_a_meaning_is_refused_when_the_plugin_is_defined() -> None:
    def nameless(clip: Clip, *, width: float = 1.0) -> Estimate:
        """Has an option that nobody explains."""
        return Estimate(clip.mixture, clip.mixture)

    with pytest.raises(ContractError, match="needs a default and a meaning"):
        method(family="dsp")(nameless)
