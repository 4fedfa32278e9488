"""Bugs of training/trainer.py."""

from parity_tests.harness.bugs.bug import Bug

TRAINER = "numpy_impl.training.trainer:"

BUGS = [
    Bug(name="trainer-gradients-not-zeroed",
        title="Gradients are not cleared between two steps.",
        function=TRAINER + "Trainer.train_step",
        old="self.optimizer.zero_grad()",
        new="pass",
        looks="The first step is right. From the second on, each gradient is the sum of all so far.",
        why="That backward adds is needed for weights that are used twice. That somebody has to clear is the price of "
            "it.",
        training="Gradients from long ago, at weights that are no more, outvote those of today. Measured: 12 % of the "
                 "words right instead of 98 %.",
        seen=(("https://github.com/meta-pytorch/torchforge/pull/71",
               "\"Fixing a dumb bug where we weren't zeroing grad on optimizers after each step\"."),
              ("https://github.com/wenet-e2e/wekws/issues/72",
               "A reader asks whether the missing zero_grad() is a trick; it was a bug."),
              ("https://github.com/pytorch/pytorch/issues/47175",
               "A wish for a warning, because this mistake is so easy."))),
    Bug(name="trainer-mean-of-means",
        title="A batch in parts: the mean of each part, and then the mean of the means.",
        function=TRAINER + "Trainer.train_step",
        old="part, batch.target_count)",
        new="part, self.settings.micro_batches * int((part.target_out_ids != 0).sum()))",
        looks="With one part, or parts of equally many targets, all is right. Else the targets of short parts count "
              "for more, and the loss is not that of the whole batch.",
        why="A loss function returns a mean, and to add up what it returns and divide by the number of parts is what "
            "every recipe says.",
        training="Measured with four parts: no difference, since they are nearly of one size here. With texts of "
                 "different length, what the model learns depends on how the batch was cut.",
        seen=(("https://github.com/huggingface/blog/pull/2414",
               "Losses did not match between training with gradient accumulation and without: every loss was a mean "
               "of its own."),
              ("https://github.com/huggingface/transformers/pull/34191",
               "The correction in the Trainer."),
              ("https://github.com/ml-explore/mlx-lm/pull/1544",
               "The update was biased towards short examples."))),
    Bug(name="trainer-same-dropout-masks-at-each-step",
        title="Every step draws the masks of step 0.",
        function=TRAINER + "Trainer.train_step",
        old="self.settings.seed, self.step, first_row",
        new="self.settings.seed, 0, first_row",
        looks="Each step for itself is right, in both twins, and a run that goes on from a checkpoint still ends with "
              "the same bits.",
        why="The seed is there so that masks can be drawn again, and a constant seed does that best.",
        training="Dropout becomes a network with some connections cut for good. Measured: the training loss is lower, "
                 "since the noise is gone; a model that overfits is no longer held back.",
        seen=(("https://github.com/PaddlePaddle/Paddle/issues/7796",
               "The dropout operator always used the same seed."),)),
    Bug(name="trainer-clips-after-the-step",
        title="Gradients are clipped after the optimizer has used them.",
        function=TRAINER + "Trainer.train_step",
        old="gradient_norm = self.twin.clip_gradients(self.model.named_parameters(), self.settings.max_norm)\n"
            "        self.optimizer.lr = self.schedule(self.step + 1)\n"
            "        self.optimizer.step()",
        new="self.optimizer.lr = self.schedule(self.step + 1)\n"
            "        self.optimizer.step()\n"
            "        gradient_norm = self.twin.clip_gradients(self.model.named_parameters(), self.settings.max_norm)",
        looks="Every number in the log is plausible. Clipping has no effect, and neither has its setting.",
        why="One line was added to a working loop, at its end.",
        training="It is training without clipping. Measured: 93 % of the words right instead of 98 %; in a larger "
                 "model a single bad batch may throw the weights out.",
        seen=(("https://github.com/VGraphRNN/VGRNN/issues/4",
               "clip_grad_norm() is called after opt.step(), \"so it isn't doing anything\"."),
              ("https://github.com/jongwook/onsets-and-frames/issues/24",
               "The same; the author is not sure why he put it there."),
              ("https://github.com/awslabs/graphstorm/issues/1366",
               "The same in all trainers of a library, behind an option of the command line."))),
    Bug(name="trainer-biases-and-norms-decay",
        title="Weight decay is applied to biases and norms too.",
        function=TRAINER + "make_optimizer",
        old="groups = twin.parameter_groups(model, settings.weight_decay)",
        new="groups = [{\"named_parameters\": list(model.named_parameters()), \"weight_decay\": "
            "settings.weight_decay}]",
        looks="The gammas of the norms drift from 1 towards 0, and biases towards 0.",
        why="model.parameters() is what an optimizer is usually given. To leave some out takes names, and names "
            "change.",
        training="Measured with a decay of 0.01: no difference. With 0.1 and long training gammas shrink, and each "
                 "layer says less than it should.",
        seen=(("https://github.com/huggingface/transformers/issues/4360",
               "LayerNorm was to be left out, and was not."),
              ("https://github.com/CyberZHG/keras-bert/issues/60",
               "Biases were left out, LayerNorm was not."),
              ("https://github.com/Lightning-AI/lit-llama/issues/254",
               "A training script decayed all parameters."))),
]
