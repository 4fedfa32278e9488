"""The same Transformer as one would write it in PyTorch for speed: fused projections, fused attention, fused AdamW."""

import torch
from torch import nn
from torch.nn import functional as F

from numpy_impl.text.vocabulary import Vocabulary
from numpy_impl.training.schedules import make_schedule
from torch_impl.layers.positional_encoding import SinusoidalPositionalEncoding


class Attention(nn.Module):
    """Multi-head attention with one product for all projections of one input."""

    def __init__(self, d_model, num_heads, cross):
        super().__init__()
        self.num_heads, self.cross = num_heads, cross
        if cross:
            self.query = nn.Linear(d_model, d_model)
            self.key_value = nn.Linear(d_model, 2 * d_model)
        else:
            self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)

    def forward(self, x, memory, mask, causal, dropout):
        if self.cross:
            query, key_value = self.query(x), self.key_value(memory)
            key, value = key_value.chunk(2, dim=-1)
        else:
            query, key, value = self.query_key_value(x).chunk(3, dim=-1)
        heads = [part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (query, key, value)]
        attended = F.scaled_dot_product_attention(*heads, attn_mask=mask, dropout_p=dropout, is_causal=causal)
        return self.output(attended.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A layer of the encoder (cross=False) or the decoder (cross=True)."""

    def __init__(self, config, cross):
        super().__init__()
        self.norm_first, self.p = config.norm_first, config.dropout
        self.self_attention = Attention(config.d_model, config.num_heads, cross=False)
        self.cross_attention = Attention(config.d_model, config.num_heads, cross=True) if cross else None
        self.up, self.down = nn.Linear(config.d_model, config.d_ff), nn.Linear(config.d_ff, config.d_model)
        self.norms = nn.ModuleList(nn.LayerNorm(config.d_model) for _ in range(3 if cross else 2))
        self.activation = {"relu": F.relu, "gelu": F.gelu,
                           "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}[config.activation]

    def forward(self, x, memory, mask, memory_mask):
        """mask: of the self-attention; None means causal."""
        dropout = self.p if self.training else 0.0

        def feed_forward(y):
            return self.down(F.dropout(self.activation(self.up(y)), self.p, self.training))

        sublayers = [lambda y: self.self_attention(y, None, mask, mask is None, dropout), feed_forward]
        if self.cross_attention is not None:
            sublayers.insert(1, lambda y: self.cross_attention(y, memory, memory_mask, False, dropout))
        for sublayer, norm in zip(sublayers, self.norms):
            if self.norm_first:
                x = x + F.dropout(sublayer(norm(x)), self.p, self.training)
            else:
                x = norm(x + F.dropout(sublayer(x), self.p, self.training))
        return x


class IdiomaticTransformer(nn.Module):
    """forward(source_ids, target_ids) returns logits, as our twins' Transformer. Weights are tied."""

    def __init__(self, config):
        super().__init__()
        if not config.tie_weights:
            raise ValueError("tie_weights is False, must be True here")
        self.config = config
        self.embedding = nn.Embedding(config.source_vocabulary_size, config.d_model, config.padding_idx)
        nn.init.normal_(self.embedding.weight, std=config.d_model ** -0.5)
        self.position = SinusoidalPositionalEncoding(config.d_model, config.max_length,
                                                     dtype=torch.get_default_dtype())
        self.encoder = nn.ModuleList(Layer(config, cross=False) for _ in range(config.num_encoder_layers))
        self.decoder = nn.ModuleList(Layer(config, cross=True) for _ in range(config.num_decoder_layers))
        self.encoder_norm = nn.LayerNorm(config.d_model) if config.norm_first else nn.Identity()
        self.decoder_norm = nn.LayerNorm(config.d_model) if config.norm_first else nn.Identity()

    def embed(self, ids):
        embedded = self.embedding(ids) * self.config.d_model ** 0.5
        return F.dropout(self.position(embedded), self.config.dropout, self.training)

    def forward(self, source_ids, target_ids):
        source_mask = (source_ids != self.config.padding_idx)[:, None, None, :]
        memory = self.embed(source_ids)
        for layer in self.encoder:
            memory = layer(memory, None, source_mask, None)
        memory = self.encoder_norm(memory)
        # A target's padding stands at its end: with the causal mask no symbol that counts sees it.
        x = self.embed(target_ids)
        for layer in self.decoder:
            x = layer(x, memory, None, source_mask)
        return F.linear(self.decoder_norm(x), self.embedding.weight)


class IdiomaticTrainer:
    """Training steps on the batches that it is given; as Trainer.train_step."""

    def __init__(self, config, settings, batches):
        torch.set_default_dtype(getattr(torch, settings.dtype))
        torch.manual_seed(settings.seed)
        self.model, self.settings, self.batches, self.step = IdiomaticTransformer(config), settings, batches, 0
        matrices = [parameter for parameter in self.model.parameters() if parameter.ndim >= 2]
        others = [parameter for parameter in self.model.parameters() if parameter.ndim < 2]
        self.optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": settings.weight_decay},
                                            {"params": others, "weight_decay": 0.0}],
                                           betas=(settings.adam_beta1, settings.adam_beta2),
                                           eps=settings.adam_eps, fused=True)
        self.schedule = make_schedule(settings.schedule, peak=settings.learning_rate, warmup=settings.warmup,
                                      steps=settings.steps, d_model=config.d_model)

    def train_step(self):
        batch = self.batches.batch_at(self.step)
        self.optimizer.zero_grad()
        logits = self.model(torch.from_numpy(batch.source_ids), torch.from_numpy(batch.target_in_ids))
        loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch.target_out_ids).flatten(),
                               ignore_index=Vocabulary.PAD, label_smoothing=self.settings.label_smoothing)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.max_norm)
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(self.step)
        self.optimizer.step()
        return {"loss": loss.item()}
