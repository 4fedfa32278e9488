"""Building blocks of the lab's web pages: one theme, one frame, no network."""
