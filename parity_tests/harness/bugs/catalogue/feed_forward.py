"""Bugs of layers/feed_forward.py."""

from parity_tests.harness.bugs.bug import Bug

FEED_FORWARD = "numpy_impl.layers.feed_forward:"

BUGS = [
    Bug(name="feed-forward-activation-skipped",
        title="The backward pass leaves the activation out.",
        function=FEED_FORWARD + "FeedForward.backward",
        old="self.activation.backward(d_activated)",
        new="d_activated",
        looks="The lower matrix gets gradients for features that were switched off. All shapes fit, since an "
              "activation changes none.",
        why="Layers with weights are what one thinks of when writing down the way back; the line between two of them "
            "is easily passed over.",
        training="Measured: 84 % of the words right instead of 98 %, and a loss that is nearly twice as high. It does "
                 "train, and so nobody looks for a bug.",
        case="feed_forward: FeedForward, ReLU"),
    Bug(name="feed-forward-dropout-skipped",
        title="The backward pass leaves the dropout out.",
        function=FEED_FORWARD + "FeedForward.backward",
        old="self.dropout.backward(d_dropped)",
        new="d_dropped",
        looks="Features that were dropped get a gradient. In evaluation mode, or with p = 0, all is right.",
        why="Backward passes are tested with dropout off, to have the same numbers each time.",
        training="Measured with p = 0.1: hardly anything. It is one of many dropouts, and a feature that is dropped "
                 "by chance is pushed the wrong way only by chance.",
        case="feed_forward: FeedForward, dropout"),
    Bug(name="gated-feed-forward-one-of-two-ways",
        title="Of the two ways that x goes in, the gate's is not taken back.",
        function=FEED_FORWARD + "GatedFeedForward.backward",
        old="d_x_from_up + d_x_from_gate",
        new="d_x_from_up",
        looks="Both matrices have the right gradients. What goes on to the layers below is half of what it should be.",
        why="x is used in two lines of the forward pass, far apart. Where a value forks, its gradients add up.",
        training="All layers below are told only how they feed the content, not how they open the gates. How much "
                 "that is depends on the weights; nothing about the loss curve points here.",
        case="feed_forward: GatedFeedForward, SwiGLU"),
    Bug(name="gated-feed-forward-gradient-overwritten-in-place",
        title="The gradient of the product is overwritten before its second use.",
        function=FEED_FORWARD + "GatedFeedForward.backward",
        old="d_gated * content ",
        new="np.multiply(d_gated, content, out=d_gated) ",
        looks="d_opening is right, and d_content has a factor too many: content.",
        why="`a *= b` saves an array, and is right for the last reader. The line that reads it next was there "
            "already, or came later.",
        training="The matrix that makes the content, and all layers below, are pushed by the square of what passed. "
                 "Where content is near 0 they no longer learn, where it is large they learn too much.",
        seen=(("https://github.com/linkedin/Liger-Kernel/issues/254",
               "A SwiGLU kernel overwrites what it was given during the backward pass; the maintainers know it, "
               "and rely on nobody reading it again."),),
        case="feed_forward: GatedFeedForward, SwiGLU"),
]
