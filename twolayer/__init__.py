"""The two-layer ReLU network of the PyTorch tutorial, trained by hand.

>>> from twolayer import Config, fit
>>> result = fit(Config(N=4, D_in=6, H=5, D_out=2, steps=3, dtype="float64"))
>>> result.losses.shape
(3,)
"""

from twolayer.training.config import Config
from twolayer.training.data.reading import own_table
from twolayer.training.edits import Edit
from twolayer.training.fields import ConfigError
from twolayer.training.training import Result, fit

__all__ = ["Config", "ConfigError", "Edit", "Result", "fit", "own_table"]
