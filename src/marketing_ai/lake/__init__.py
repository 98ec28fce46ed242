"""The lake: one writer at a time, any number of readers of published versions."""

from marketing_ai.lake.publication import NotPublishedError, Publication, current_publication

__all__ = ["NotPublishedError", "Publication", "current_publication"]
