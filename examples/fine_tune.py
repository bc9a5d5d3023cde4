"""Fine-tunes a small language model in sequence scope, and shows its loss fall.

An OLMoE model of transformers with 2 layers of 8 experts reads Python sources byte by
byte. It is trained as its authors wrote it, each token choosing K experts; then
``set_scope`` lets each sequence choose K experts per token on average, and training
goes on. At the end one layer is compiled and compared with PyTorch.

usage: python examples/fine_tune.py [--steps N] [--tune N]
"""

import argparse
import json
import math
import pathlib

import moe_mlir
import torch
import torch.nn.functional as F
from moe_mlir.torch import set_scope
from transformers import OlmoeConfig, OlmoeForCausalLM

SEQUENCES, TOKENS, HELD_OUT = 8, 64, 4


def small_model() -> OlmoeForCausalLM:
    """Random weights; the library would leave the routers at zero."""
    torch.manual_seed(0)
    config = OlmoeConfig(
        vocab_size=256, hidden_size=64, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, num_experts=8,
        num_experts_per_tok=2, pad_token_id=None, eos_token_id=None,
        use_cache=False,
    )  # fmt: skip
    model: OlmoeForCausalLM = OlmoeForCausalLM._from_config(
        config, attn_implementation="eager"
    )
    for value in model.parameters():
        if value.dim() > 1:
            torch.nn.init.normal_(value, std=value.shape[-1] ** -0.5)
    return model


def corpus() -> torch.Tensor:
    """The bytes of a package of Python's own library."""
    folder = pathlib.Path(json.__file__).parent
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return torch.frombuffer(bytearray(text), dtype=torch.uint8).long()


def batch(data: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """``[SEQUENCES, TOKENS + 1]`` pieces of ``data``."""
    last = len(data) - TOKENS - 1
    begin = torch.randint(0, last, (SEQUENCES, 1), generator=generator)
    return data[begin + torch.arange(TOKENS + 1)]


def loss_of(model: OlmoeForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    """Mean loss of the next byte, in nats."""
    logits = model(tokens[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: OlmoeForCausalLM, data: torch.Tensor) -> float:
    generator = torch.Generator().manual_seed(99)
    losses = [loss_of(model, batch(data, generator)) for _ in range(HELD_OUT)]
    return torch.stack(losses).mean().item()


def train(model: OlmoeForCausalLM, data: torch.Tensor, steps: int, rate: float) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(model, batch(data, generator)).backward()
        optimizer.step()


def compare_with_compiled(model: OlmoeForCausalLM) -> float:
    """Largest difference of a compiled layer, relative to the largest value."""
    x = torch.randn(2, TOKENS, 64, generator=torch.Generator().manual_seed(1))
    layer = model.model.layers[0].mlp
    with torch.no_grad():
        want = layer(x)
    set_scope(model, "token")  # the importer reads the layer as it is written
    have = moe_mlir.from_torch(layer, (x,)).with_scope("sequence").compile()(x)
    return ((have - want).abs().max() / want.abs().max()).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=150, help="steps in token scope")
    parser.add_argument("--tune", type=int, default=50, help="in sequence scope")
    options = parser.parse_args()
    data = corpus()
    held, used = data[: len(data) // 8], data[len(data) // 8 :]
    model = small_model()
    print(f"chance           {math.log(256):.3f} nats per byte")
    print(f"before           {held_out_loss(model, held):.3f}")
    train(model, used, options.steps, 3e-3)
    print(f"token scope      {held_out_loss(model, held):.3f}")
    layers = set_scope(model, "sequence")
    print(f"set_scope        {', '.join(layers)}")
    print(f"sequence scope   {held_out_loss(model, held):.3f}")
    train(model, used, options.tune, 1e-3)
    print(f"fine-tuned in it {held_out_loss(model, held):.3f}")
    print(f"compiled layer   differs by {compare_with_compiled(model):.1e}")


if __name__ == "__main__":
    main()
