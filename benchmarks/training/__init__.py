"""Training a method's network for a target of one's own, with data of one's own.

    data on disk -> sets (what there is) -> check (what is wrong with it) -> sounds (decoded once)
                 -> examples (mixed as they are asked for) -> loop (epochs) -> model and its card

Whatever is drawn follows from the seed and the number of the example alone, so that a run can be
repeated, and one that was stopped goes on as if it had not been.
"""
