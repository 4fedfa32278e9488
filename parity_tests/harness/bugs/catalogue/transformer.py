"""Bugs of models/transformer.py."""

from parity_tests.harness.bugs.bug import Bug

TRANSFORMER = "numpy_impl.models.transformer:"

BUGS = [
    Bug(name="transformer-encoder-gradient-forgotten",
        title="The gradient of the memory is computed, and not passed to the encoder.",
        function=TRANSFORMER + "Transformer.backward",
        old="self.encode_backward(d_memory)",
        new="pass",
        looks="All gradients of the encoder are 0. The decoder's are right.",
        why="The loss is at the end of the decoder, and the way back through it ends at the target's embedding. The "
            "memory is a side entrance.",
        training="The decoder learns to read an encoder that stays as it was drawn at random. Measured: 12 % of the "
                 "words right instead of 98 %.",
        seen=(("https://github.com/rsarxiv/seq2seq-attention/issues/7",
               "A reader asks why the gradient of the context is not passed into the encoder, as nothing in the "
               "code does."),
              ("https://github.com/lucidrains/CoCa-pytorch/issues/6",
               "A helper detached what the image encoder said, so that the encoder was never trained.")),
        case="transformer: with loss"),
    Bug(name="transformer-target-embedding-not-trained",
        title="The way back ends before the target's embedding.",
        function=TRANSFORMER + "Transformer.decode_backward",
        old="self.target_embedding.backward(d_embedded)",
        new="pass",
        looks="One table lacks a gradient. With tied weights it lacks only a share of it, and is not 0.",
        why="An embedding returns no gradient, so that its call looks as if it did nothing.",
        training="Measured with tied weights: 93 % of the words right instead of 98 %, since the shared table learns "
                 "from its two other places. Untied, the decoder's symbols keep random vectors.",
        case="transformer: with loss"),
    Bug(name="transformer-embedding-dropout-skipped",
        title="The way back leaves the source's dropout out.",
        function=TRANSFORMER + "Transformer.encode_backward",
        old="self.source_dropout.backward(d_dropped)",
        new="d_dropped",
        looks="Numbers of the embedding that were dropped get a gradient, and the others one that is not scaled.",
        why="Between embedding and encoder stand two lines without weights, position and dropout. The first has "
            "nothing to do on the way back, and the second looks like it.",
        training="Measured with p = 0.1: 90 % of the words right instead of 98 %.",
        case="transformer: dropout"),
    Bug(name="transformer-encoder-reads-padding",
        title="The encoder is not given the mask that hides padding.",
        function=TRANSFORMER + "Transformer.encode",
        old="self.encoder(dropped, source_mask)",
        new="self.encoder(dropped)",
        looks="A sentence is read otherwise, depending on how long the longest of its batch is. Alone it is right.",
        why="The mask has a default, None, and everything works without it.",
        training="Measured: no harm, since batches here hold words of like length. The harm comes in use: the same "
                 "sentence is translated differently in another company.",
        seen=(("https://github.com/DaoyuanLi2816/Molecule-Generator/pull/22",
               "\"Padding was never masked, so attention attended to <pad> tokens\"; batch and time were mixed up "
               "as well."),),
        case="transformer: tied, post-norm"),
    Bug(name="transformer-memory-padding-is-read",
        title="The decoder is not given the mask that hides the source's padding.",
        function=TRANSFORMER + "Transformer.decode",
        old="memory, target_mask, source_mask)    # (B, Tt, D)",
        new="memory, target_mask)    # (B, Tt, D)",
        looks="The decoder looks at places of the memory where there is no source.",
        why="There are two masks, one for each attention of the layer, and the one that is at hand is the target's.",
        training="Measured: no harm, since batches here hold words of like length. As with the encoder's mask, the "
                 "answer depends on who else is in the batch.",
        seen=(("https://github.com/keras-team/keras-io/pull/1046",
               "A tutorial's decoder received the target's mask only, and used it for the source."),),
        case="transformer: tied, post-norm"),
    Bug(name="transformer-decoder-sees-the-future",
        title="The decoder's mask hides padding, but not what comes later.",
        function=TRANSFORMER + "Transformer.decode",
        old="combine_masks(causal_mask(target_ids.shape[1]),\n"
            "                                    padding_mask(target_ids, self.config.padding_idx))",
        new="padding_mask(target_ids, self.config.padding_idx)",
        looks="Logits of a place change when a later symbol changes. The training loss is wonderful.",
        why="Two masks are to be combined, and one is assigned over the other.",
        training="Measured: the loss is lower than the right model's, in training and in validation, and no word "
                 "comes out right. Writing by itself, the model finds nothing to copy from.",
        case="transformer: tied, post-norm"),
    Bug(name="transformer-tied-weights-share-values-only",
        title="Output projection and embedding share their values, but not their gradients.",
        function=TRANSFORMER + "Transformer.__init__",
        old="self.output_projection.weight = self.source_embedding.weight",
        new="self.output_projection.weight.data = self.source_embedding.weight.data",
        looks="All values are those of the tied model. There is one parameter more, each with a part of the gradient.",
        why="It is the array that has to be shared, one thinks, and forgets that the parameter is array and gradient.",
        training="The optimizer moves the same array twice in each step, by two moments that know nothing of each "
                 "other: steps are up to twice as long. Measured: hardly any harm.",
        seen=(("https://github.com/NVIDIA/Megatron-LM/issues/656",
               "Weights that should be tied came apart during training with overlapping communication."),
              ("https://github.com/facebookresearch/lingua/issues/74",
               "Weights tied in training, but not in the checkpoint: a good training loss, a bad one in validation.")),
        case="transformer: tied, post-norm"),
]
