"""T5's special token ids, which data and model share."""

PAD_ID = 0
"""Padding; also what the decoder starts with."""

EOS_ID = 1
"""The end of every input and target."""
