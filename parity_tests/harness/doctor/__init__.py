"""The doctor: grades a backward pass that somebody wrote, and says what is wrong with it."""
