"""Bugs of training/schedules.py."""

from parity_tests.harness.bugs.bug import Bug

SCHEDULES = "numpy_impl.training.schedules:"

BUGS = [
    Bug(name="noam-from-step-0",
        title="The steps are counted from 0.",
        function=SCHEDULES + "NoamSchedule.__call__",
        old="min(step**-0.5, step * self.warmup**-1.5)",
        new="min(max(step - 1, 1)**-0.5, (step - 1) * self.warmup**-1.5)",
        looks="The first step has the rate 0 and changes nothing, and all later ones have the rate of the step before.",
        why="Loops count from 0, the paper's formula from 1. Written as it stands it divides by 0, and the guard "
            "against that, max(step, 1), hides the rest.",
        training="The first batch is wasted, and Adam's moments move without the weights. Nothing else is to be seen.",
        seen=(("https://github.com/google-research/bert/issues/1293",
               "The first step's learning rate is 0; only the moments are updated."),
              ("https://github.com/tugstugi/pytorch-saltnet/issues/7",
               "With max(1, last_epoch) the first two steps have the same rate."),
              ("https://github.com/verl-project/verl/issues/3674",
               "The rate is 0 in the first weight update, since the schedule is moved on after it."))),
    Bug(name="noam-larger-of-the-two",
        title="The larger of the two branches is taken: max for min.",
        function=SCHEDULES + "NoamSchedule.__call__",
        old="min(step",
        new="max(step",
        looks="The rate is highest in the first step, falls until the warm-up ends, and then rises without end.",
        why="\"Rise, then fall\" is the maximum of a curve, one thinks. But it is where the two branches cross that "
            "the smaller one changes over.",
        training="Measured: the first steps throw the weights about, and it never recovers. The loss stays near 1.9, "
                 "and no word is right."),
    Bug(name="warmup-counts-as-decay",
        title="The decay is counted from step 0, not from the end of the warm-up.",
        function=SCHEDULES + "WarmupSchedule.__call__",
        old="(step - self.warmup) / (self.total - self.warmup)",
        new="step / self.total",
        looks="Right after the peak the rate drops: what should have been lost during the warm-up is lost at once.",
        why="A finished decay function gets a warm-up put in front of it, and goes on counting from its own 0.",
        training="With a warm-up of a twelfth of the run, as here, the jump is small. Measured: no difference to "
                 "speak of. The longer the warm-up, the deeper the fall.",
        seen=(("https://github.com/facebookresearch/fairchem/pull/1967",
               "\"It decays the scheduler even during the warmup phase, resulting in a sharp drop\" at its end."),
              ("https://github.com/PaddlePaddle/PaddleDetection/pull/4611",
               "Ten steps, five of warm-up: the first after it had the rate 0.5 instead of nearly 1."))),
    Bug(name="warmup-final-rate-as-a-floor",
        title="The final rate is a floor under a decay to 0, not its end.",
        function=SCHEDULES + "WarmupSchedule.__call__",
        old="self.final + (self.peak - self.final) * self.remaining(progress)",
        new="max(self.final, self.peak * self.remaining(progress))",
        looks="The rate is too low on the way, then flat. With a final rate of 0 both are the same.",
        why="A lower limit is what one reads in the name min_lr.",
        training="Nothing with a final rate of 0, as in this model. With a tenth of the peak, the last fifth of the "
                 "run has a constant rate.",
        seen=(("https://github.com/EleutherAI/gpt-neox/pull/1008",
               "The cosine did not know of min_lr, only max(lr, min_lr) did; found after models had been trained "
               "with it."),)),
    Bug(name="warmup-runs-past-its-end",
        title="Beyond its last step the schedule goes on.",
        function=SCHEDULES + "WarmupSchedule.__call__",
        old="min((step - self.warmup) / (self.total - self.warmup), 1.0)",
        new="(step - self.warmup) / (self.total - self.warmup)",
        looks="Up to the last planned step all is right. After it the cosine rises again, and the straight line goes "
              "below 0.",
        why="The number of steps is known when the schedule is made, and nobody trains longer, until somebody does.",
        training="Nothing within the plan. After it a line would make the rate negative: each step climbs, and the "
                 "loss with it. The optimizer here refuses such a rate.",
        seen=(("https://github.com/huggingface/transformers/issues/132",
               "With warmup_linear the step could pass the total, and the rate became negative."),
              ("https://github.com/Tencent-Hunyuan/UniRL/pull/223",
               "A cosine with too short a period: the rate reached 0 early, and rose again."))),
    Bug(name="cosine-whole-wave",
        title="A whole cosine wave, not half of one.",
        function=SCHEDULES + "CosineSchedule.remaining",
        old="math.cos(math.pi * progress)",
        new="math.cos(2 * math.pi * progress)",
        looks="The rate is 0 in the middle of the run, and back at its peak at the end. First and last test points "
              "are easily chosen so that they pass.",
        why="A wave has 2π, and that the schedule is only half of one is said by its picture, not by its name.",
        training="Measured: until the middle it learns faster, and then the rising rate spoils it. 57 % of the words "
                 "right instead of 98 %, and over three times the loss."),
]
