"""Bugs of module.py."""

from parity_tests.harness.bugs.bug import Bug

BUGS = [
    Bug(name="module-eval-stops-at-the-first-level",
        title="eval() reaches the model, but not the modules inside it.",
        function="numpy_impl.module:Module.train",
        old="for module in self.modules():\n            module.training = mode",
        new="self.training = mode",
        looks="model.training says False, and dropout goes on: each inner module has a flag of its own.",
        why="A flag on the object in hand looks enough. In PyTorch it happens with modules in a plain Python list, "
            "which it does not see.",
        training="Training itself is the same. Measured in evaluation: 62 % of the words right instead of 98 %, and "
                 "three times the loss.",
        seen=(("https://github.com/namisan/mt-dnn/issues/45",
               "Dropouts in a plain list stayed in training mode: dropout at prediction time."),
              ("https://github.com/dotnet/TorchSharp/issues/549",
               "Dropout was not switched off by the outer module's eval()."),
              ("https://github.com/Element-Research/rnn/issues/27",
               "Of shared clones only the first was switched; \"a bug that was haunting me for the past weeks\".")),
        case="transformer: evaluation"),
]
