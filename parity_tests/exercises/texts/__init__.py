"""What the exercises say: one file for each file of layers or models, each with a list EXERCISES."""
