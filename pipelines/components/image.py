"""The image that components run in on a cluster; the version is part of every cache key."""

from tastemaker import __version__

TRAIN = f"tastemaker/train:{__version__}"
