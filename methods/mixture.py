"""Do nothing: the mixture stands as the estimate of each track.

The floor that every table shows. The SiSEC campaigns scored it as "the mixture itself"; in 2018
it stood above four classical methods.
"""

from __future__ import annotations

from benchmarks.contract import Blocks, Clip, Estimate, method


def _blocks(rate_hz: int) -> Blocks:
    return Blocks(core=10 * rate_hz, context=0)


@method(
    family="floor",
    paper="Stöter, Liutkus and Ito 2018, The 2018 signal separation evaluation campaign",
    blocks=_blocks,
)
def mixture(clip: Clip) -> Estimate:
    """Give the mixture back as the vocals and as the background.

    The two don't sum to the mixture, but to twice the mixture: halving them would change nothing
    that a scale-invariant metric sees, and would make the SNR speak of the gain. As it is, each
    score of this method is the one that a listener starts from before any separation.
    """
    return Estimate(vocals=clip.mixture, background=clip.mixture)
