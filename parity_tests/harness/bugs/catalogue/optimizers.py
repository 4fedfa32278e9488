"""Bugs of training/optimizers.py."""

from parity_tests.harness.bugs.bug import Bug

OPTIMIZERS = "numpy_impl.training.optimizers:"

# Two lines of `adam_direction`, which the bugs of the bias correction change together.
CORRECTIONS = ("new_first_moment / (1 - beta1 ** step)                     # eq: adam-first-unbiased\n"
               "    second_unbiased = new_second_moment / (1 - beta2 ** step)")

BUGS = [
    Bug(name="adam-without-bias-correction",
        title="The moments are used as they are, without the bias correction.",
        function=OPTIMIZERS + "adam_direction",
        old=CORRECTIONS,
        new="new_first_moment                                           # eq: adam-first-unbiased\n"
            "    second_unbiased = new_second_moment",
        looks="Both averages start at 0 and are too small at first: with betas of 0.9 and 0.999 the first step is 0.1 "
              "/ √0.001, three times too large. After a thousand steps nothing is left of it.",
        why="The formula works without it, and a warm-up of the learning rate hides what it does.",
        training="The first steps have the wrong size, when the weights are least prepared. Measured over 800 steps: "
                 "no difference at the end, since the learning rate is warmed up.",
        seen=(("https://github.com/google-research/bert/issues/153",
               "BERT's own optimizer lacked it: \"mostly an oversight\", says the author, that does not matter with "
               "warm-up."),
              ("https://github.com/ml-explore/mlx/pull/1640",
               "A GPT-2 did not learn by heart what it learnt in PyTorch, until the correction was added."),
              ("https://github.com/EurekaLabsAI/micrograd/pull/2",
               "Missing in a course's AdamW; the author: \"doh good catch\".")),
        case="optimizers: adam_direction"),
    Bug(name="adam-bias-correction-without-the-power",
        title="The correction divides by 1 - beta in every step, not by 1 - beta to the power of the step.",
        function=OPTIMIZERS + "adam_direction",
        old=CORRECTIONS,
        new="new_first_moment / (1 - beta1)                             # eq: adam-first-unbiased\n"
            "    second_unbiased = new_second_moment / (1 - beta2)",
        looks="The first step is right. Later the direction tends to √(1 - beta2) / (1 - beta1) times its size: 0.3 "
              "with betas of 0.9 and 0.999, 1.4 with 0.9 and 0.98.",
        why="In the paper the power is a small raised t, next to other raised letters that are indices.",
        training="It is another learning rate, which drifts to its place in the first hundreds of steps. Measured: "
                 "92 % of the words right instead of 98 %, as with a rate that is too high.",
        seen=(("https://github.com/eriklindernoren/ML-From-Scratch/issues/35",
               "The power of t is missing in a much copied collection of algorithms."),
              ("https://github.com/ufal/npfl114/pull/79",
               "A lecture's slide had 1 - β² where it should have 1 - β₂ to the power of t.")),
        case="optimizers: adam_direction"),
    Bug(name="adam-bias-correction-multiplied",
        title="The correction multiplies where it should divide.",
        function=OPTIMIZERS + "adam_direction",
        old=CORRECTIONS,
        new="new_first_moment * (1 - beta1 ** step)                     # eq: adam-first-unbiased\n"
            "    second_unbiased = new_second_moment * (1 - beta2 ** step)",
        looks="What is too small at first is made smaller still, the divisor most: with betas of 0.9 and 0.999 the "
              "first step is ten times too large.",
        why="A correction by a factor below 1: whether it goes on top or below is soon mixed up, and the optimizer "
            "works either way.",
        training="Measured: 94 % of the words right instead of 98 %, and that with a warm-up of the learning rate. "
                 "Without one the first steps throw the weights about.",
        seen=(("https://github.com/karpathy/convnetjs/pull/70",
               "A reader wondered why Adam did so much worse than Adadelta in the demo, and found a * for a /."),),
        case="optimizers: adam_direction"),
    Bug(name="adam-step-counted-for-each-parameter",
        title="The step count goes up with each parameter, not with each step.",
        function=OPTIMIZERS + "Optimizer.step",
        old="self.step_count += 1\n        for path, parameter, weight_decay in self.entries:",
        new="for path, parameter, weight_decay in self.entries:\n            self.step_count += 1",
        looks="The first parameter's first step is right, the next one counts as the second step, and so on.",
        why="The update rule is a method that is called for one parameter, and needs a count: so it counts its calls.",
        training="The bias correction ends too early, nearly as if there were none. Measured: no difference, since "
                 "the learning rate is warmed up.",
        seen=(("https://github.com/Shubham-cyber-prog/100-Days-Of-Web-Development-ECWoC26/pull/1575",
               "A review of a network from scratch: update() increments t on every tensor."),
              ("https://github.com/ikostrikov/pytorch-a3c/issues/12",
               "Processes shared the moments, but each counted its own steps: the correction was too strong."))),
    Bug(name="adam-eps-inside-the-root",
        title="eps is added under the root.",
        function=OPTIMIZERS + "adam_direction",
        old="(np.sqrt(second_unbiased) + eps)",
        new="np.sqrt(second_unbiased + eps)",
        looks="An eps of 1e-8 acts as one of 1e-4. Parameters with gradients smaller than that hardly move.",
        why="LayerNorm and RMSNorm have it inside, and so has the derivation in some overviews.",
        training="Measured: no difference, since the gradients here are larger. In large models those of single "
                 "numbers are often below 1e-4, and these stop learning.",
        seen=(("https://github.com/FluxML/Flux.jl/pull/448",
               "eps had been moved inside; outside again, as in the paper: inside it is like a default of 1e-4."),
              ("https://github.com/CyberZHG/keras-radam/issues/29",
               "Whoever changes from Adam to this optimizer has to square eps."),
              ("https://github.com/chainer/chainer/issues/4754",
               "RMSprop differs so between libraries; it matters with the eps of 1.0 that Inception used.")),
        case="optimizers: adam_direction"),
    Bug(name="adam-with-decoupled-decay",
        title="Adam shrinks the weights as AdamW does.",
        function=OPTIMIZERS + "Adam.update",
        old="return adam_update(",
        new="return adamw_update(",
        looks="Without weight decay both are the same, and all tests without it pass.",
        why="The two differ in one line. Since AdamW became the usual choice, its rule is taken for Adam's.",
        training="A weight decay tuned for one acts otherwise in the other. Measured with 0.01: the bug trains better "
                 "(98 % of the words right instead of 88 %), which is why AdamW was invented.",
        seen=(("https://github.com/flagos-ai/FlagGems/pull/4989",
               "A fused kernel of torch's Adam applied the rule of AdamW; without decay nobody noticed."),),
        case="optimizers: Adam, 20 steps, betas and decay"),
    Bug(name="adamw-with-l2-decay",
        title="AdamW adds the decay to the gradient, as Adam does.",
        function=OPTIMIZERS + "AdamW.update",
        old="return adamw_update(",
        new="return adam_update(",
        looks="The moments contain the decay. A weight whose gradients are large hardly shrinks, since the decay is "
              "divided by their size.",
        why="With plain gradient descent both are the same, and \"weight decay\" and \"L2\" are used as one word.",
        training="Measured with a decay of 0.01: 88 % of the words right instead of 98 %, and nearly twice the loss. "
                 "Weights with tiny gradients, such as those of rare symbols, are driven to 0.",
        seen=(("https://github.com/pytorch/pytorch/issues/48793",
               "PyTorch's manual said that Adam follows the paper on decoupled decay; the code did not."),
              ("https://github.com/anhquan0412/basic_model_scratch/issues/2",
               "Adam from scratch with L2 in the gradient, to be mended by adding the decay after the averages.")),
        case="optimizers: AdamW, 20 steps"),
    Bug(name="adamw-decays-last",
        title="The weight decays after the step, and the step shrinks with it.",
        function=OPTIMIZERS + "adamw_update",
        old="new_parameter = decayed_parameter - lr * direction",
        new="new_parameter = (1 - lr * weight_decay) * (parameter - lr * direction)",
        looks="Each step is too short by the factor 1 - lr · weight_decay: a few parts in a hundred thousand.",
        why="Written in place, in two statements, the order is free; in the paper's one formula it is not to be seen.",
        training="Measured: no difference to speak of. It matters to those who compare two implementations number by "
                 "number, and with a learning rate near 1.",
        seen=(("https://github.com/bitsandbytes-foundation/bitsandbytes/issues/2010",
               "Two backends of one library decay in different order."),
              ("https://github.com/aiqm/torchani/pull/261",
               "The decay is moved before the update, as in line 6 of the paper's algorithm.")),
        case="optimizers: adamw_update"),
    Bug(name="adamw-decay-without-the-rate",
        title="The decay is not multiplied by the learning rate.",
        function=OPTIMIZERS + "adamw_update",
        old="(1 - lr * weight_decay)",
        new="(1 - weight_decay)",
        looks="With a decay of 0.01 every weight loses 1 % in each step, also in those with a tiny learning rate.",
        why="The paper multiplies the decay by the schedule alone, libraries by the rate. The same number means "
            "something else in each.",
        training="Measured with a decay of 0.01: at first the loss falls faster, and as the rate falls the decay wins "
                 "and undoes it all. At the end no word is right.",
        seen=(("https://github.com/modern-fortran/neural-fortran/pull/150",
               "A review proposes \"- weight_decay * param\" next to a step that has the learning rate; later they "
               "wonder about it."),
              ("https://github.com/pytorch/pytorch/pull/4429",
               "The same line in an early AdamW for PyTorch, and a long talk about what the paper means.")),
        case="optimizers: adamw_update"),
    Bug(name="sgd-rate-inside-the-velocity",
        title="The learning rate is multiplied into the velocity.",
        function=OPTIMIZERS + "sgd_update",
        old="momentum * velocity + decayed_gradient                       # eq: sgd-velocity\n"
            "    new_parameter = parameter - lr * new_velocity",
        new="momentum * velocity + lr * decayed_gradient                  # eq: sgd-velocity\n"
            "    new_parameter = parameter - new_velocity",
        looks="With a constant rate both are the same. When it changes, old gradients keep the rate of their time.",
        why="It is the paper's own formula. PyTorch has the other one, and whoever follows PyTorch has to follow it "
            "here too.",
        training="Measured with a schedule: no difference to speak of. Where the rate drops tenfold at once, the old "
                 "velocity goes on for some ten steps.",
        seen=(("https://github.com/apache/mxnet/issues/15533",
               "The state holds gradients times the old learning rate; reported as wrong."),
              ("https://github.com/paiml/aprender/pull/2190",
               "Found by comparison with PyTorch under a schedule: -0.200 instead of -0.119 after two steps.")),
        case="optimizers: sgd_update"),
    Bug(name="sgd-momentum-on-the-gradient",
        title="The momentum multiplies the new gradient, not the old velocity.",
        function=OPTIMIZERS + "sgd_update",
        old="momentum * velocity + decayed_gradient",
        new="velocity + momentum * decayed_gradient",
        looks="Nothing of the past is ever forgotten: the velocity is the sum of all gradients so far.",
        why="Two factors and two terms, and the line looks as plausible either way round.",
        training="Like a ball without friction: it runs past each valley and comes back. Measured: half-way through "
                 "the run the loss is a fifth higher; it catches up as the learning rate falls.",
        seen=(("https://github.com/ooples/AiDotNet/issues/2008",
               "v + μ g for μ v + g in the base class of several optimizers: the velocity never decays."),),
        case="optimizers: sgd_update"),
]
