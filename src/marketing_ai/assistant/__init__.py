"""Questions in plain words, answered from the published tables with every number traced."""
