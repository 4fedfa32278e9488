"""Go through a recorded run step by step, forwards and backwards: in the terminal, as a web page, or as text."""
