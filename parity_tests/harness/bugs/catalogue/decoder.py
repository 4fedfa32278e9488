"""Bugs of models/decoder.py."""

from parity_tests.harness.bugs.bug import Bug

DECODER = "numpy_impl.models.decoder:"

BUGS = [
    Bug(name="decoder-layer-cross-attention-skipped",
        title="Self-attention gets the gradient from above the cross-attention.",
        function=DECODER + "DecoderLayer.backward",
        old="self.self_attention.backward(d_attended)",
        new="self.self_attention.backward(d_informed)",
        looks="Cross-attention has right gradients, and so has the memory. What its queries say about the layer below "
              "is lost.",
        why="Two gradients come back from cross-attention, one is passed on upwards, and the name of the line before "
            "stays in the next.",
        training="The model learns what to read, but not how to ask. Measured: 80 % of the words right instead of "
                 "98 %, and twice the loss.",
        case="decoder: DecoderLayer, post-norm"),
    Bug(name="decoder-memory-gradient-overwritten",
        title="`=` for `+=` in the loop: each layer's memory gradient replaces that of the layer before.",
        function=DECODER + "Decoder.backward",
        old="sum(d_memory_from_layers)",
        new="d_memory_from_layers[-1]",
        looks="With one layer all is right. With more, d_memory is that of the first layer alone, since the loop runs "
              "backwards.",
        why="`d_x, d_memory = layer.backward(d_x)` is right for d_x, which is handed down, and looks right for "
            "d_memory, which all layers share.",
        training="The encoder learns for one of the layers that read it. Measured with two layers: 84 % of the words "
                 "right instead of 98 %, and twice the loss.",
        case="decoder: Decoder, post-norm"),
    Bug(name="decoder-memory-gradient-of-the-last-layer",
        title="Only the last layer's gradient of the memory reaches the encoder.",
        function=DECODER + "Decoder.backward",
        old="sum(d_memory_from_layers)",
        new="d_memory_from_layers[0]",
        looks="With one layer all is right. With more, d_memory lacks the share of all layers but the last.",
        why="Encoder and decoder are drawn side by side, with one arrow between their ends. Each layer has that arrow.",
        training="Measured with two layers: little, 95 % of the words right instead of 98 %. In this task the last "
                 "layer reads the source most, and the more layers there are, the more is lost.",
        case="decoder: Decoder, post-norm"),
    Bug(name="decoder-layers-in-forward-order",
        title="The backward pass goes through the layers from first to last.",
        function=DECODER + "Decoder.backward",
        old="reversed(self.layers)",
        new="self.layers",
        looks="With one layer all is right. With more, each layer gets the gradient of another one's output; all have "
              "the same shape.",
        why="The loop is copied from the forward pass.",
        training="Measured with two layers: the loss rises above that of guessing, and no word is right.",
        seen=(("https://github.com/wagenaartje/neataptic/issues/14",
               "A relative: the nodes were reversed for the backward pass, and the targets were not."),),
        case="decoder: Decoder, post-norm"),
]
