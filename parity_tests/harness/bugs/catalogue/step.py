"""Bugs of training/step.py."""

from parity_tests.harness.bugs.bug import Bug

BUGS = [
    Bug(name="step-targets-not-shifted",
        title="The decoder is given the very symbols that it is to predict.",
        function="numpy_impl.training.step:accumulate_gradients",
        old="model(batch.source_ids, batch.target_in_ids)",
        new="model(batch.source_ids, batch.target_out_ids)",
        looks="The causal mask lets a symbol see itself, which is right when the input is shifted by one. Here the "
              "answer stands at its own place.",
        why="Two arrays of one shape, whose names differ by a word. In other projects the model shifts the targets "
            "itself, and one has to know it.",
        training="Measured: within 200 steps the training loss is at the least that label smoothing allows, and no "
                 "word comes out right. The model has learnt to copy what it is asked for.",
        seen=(("https://github.com/KempnerInstitute/KempnerForge/issues/154",
               "Labels that were not shifted: the loss went to 0.0000 after 400 steps, as the model copied them."),
              ("https://github.com/huggingface/transformers/issues/27517",
               "A model \"seems to copy the input during training\": one class shifted the labels, another did not."),
              ("https://github.com/huggingface/transformers/pull/37830",
               "The opposite: shifted twice, a model was trained on the next but one token."))),
]
