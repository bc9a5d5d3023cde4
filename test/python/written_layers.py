"""MoE layers as people write them: their routing is code of one module.

Every class computes the same kind of layer from its own parameters, in another way;
:func:`reference` computes all of them in one way, with the NumPy oracle's choice.
"""

from __future__ import annotations

from typing import Any

import oracle
import torch
import torch.nn.functional as F
from torch import Tensor, nn

H, INNER, E, K = 16, 12, 8, 2


class GatedExpert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Linear(H, INNER, bias=False)
        self.w2 = nn.Linear(INNER, H, bias=False)
        self.w3 = nn.Linear(H, INNER, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Listed(nn.Module):
    """Experts in a ModuleList, softmax, two of eight, sum to one."""

    recipe = "softmax, top 2, sum to one"
    options: dict[str, Any] = {"score": "softmax", "normalize": "sum"}

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(H, E, bias=False)
        self.experts = nn.ModuleList(GatedExpert() for _ in range(E))

    def choose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = F.softmax(self.gate(x).float(), dim=-1)
        weights, chosen = torch.topk(scores, K, dim=-1)
        return (weights / weights.sum(-1, keepdim=True)).to(x.dtype), chosen

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        x = x.view(-1, width)
        return self.combine(x, *self.choose(x)).view(batch, tokens, width)

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        raise NotImplementedError

    def logits(self, x: Tensor) -> Tensor:
        return self.gate(x)

    def every(self, x: Tensor) -> Tensor:
        """``[S, T, E, H]``: what each expert makes of each token."""
        return torch.stack([expert(x) for expert in self.experts], 2)

    def rest(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class WhereAndAdd(Listed):
    """Rows of an expert by torch.where, added by an index."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        result = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            token, nth = torch.where(chosen == i)
            result[token] += weights[token, nth, None] * expert(x[token])
        return result


class CountsInPython(Listed):
    """Experts without tokens are skipped by counts that became a list."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        counts = torch.bincount(chosen.flatten(), minlength=E).tolist()
        for i in range(E):
            if counts[i] == 0:
                continue
            token, nth = torch.where(chosen == i)
            y[token] += self.experts[i](x[token]) * weights[token, nth, None]
        return y


class OneHotHits(Listed):
    """A loop over the experts that were hit, and index_add_."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        final = torch.zeros_like(x)
        mask = F.one_hot(chosen, num_classes=E).permute(2, 1, 0)
        hit = torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
        for index in hit:
            nth, token = torch.where(mask[index].squeeze(0))
            state = x[None, token].reshape(-1, x.shape[-1])
            state = self.experts[index](state) * weights[token, nth, None]
            final.index_add_(0, token, state.to(x.dtype))
        return final


class BooleanMasks(Listed):
    """Tokens by a mask, weights by another."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        result = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            mine = chosen == i
            tokens = mine.any(dim=-1)
            if tokens.any():
                weight = (weights * mine).sum(-1)[tokens]
                result[tokens] += expert(x[tokens]) * weight.unsqueeze(-1)
        return result


class EachPlace(Listed):
    """The first choices of all tokens, then the second ones."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        result = torch.zeros_like(x)
        for place in range(K):
            for i in range(E):
                mask = chosen[:, place] == i
                if mask.any():
                    y = self.experts[i](x[mask])
                    result[mask] += weights[mask, place].unsqueeze(-1) * y
        return result


class AllExperts(Listed):
    """Every expert for every token, weighted by gates most of which are zero."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        gates = torch.zeros(x.shape[0], E, dtype=x.dtype).scatter(1, chosen, weights)
        every = torch.stack([expert(x) for expert in self.experts], dim=1)
        return (every * gates.unsqueeze(-1)).sum(dim=1)


class SortedRows(Listed):
    """Rows in the order of their experts, cut by counts, and put back."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        order = chosen.flatten().argsort()
        rows = x[order // K]
        ends = torch.bincount(chosen.flatten(), minlength=E).cumsum(0).tolist()
        done, start = [], 0
        for i, end in enumerate(ends):
            if end > start:
                done.append(self.experts[i](rows[start:end]))
            start = end
        back = torch.empty_like(rows)
        back[order] = torch.cat(done)
        return (back.view(-1, K, x.shape[-1]) * weights.unsqueeze(-1)).sum(1)


class Routed(nn.Module):
    """A router of groups, sigmoid and bias, as a module that gives weights and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(E, H))
        self.bias = nn.Parameter(torch.empty(E))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = F.linear(x, self.weight).sigmoid()
        biased = (scores + self.bias).view(-1, 4, E // 4)
        kept = biased.topk(2, dim=-1)[0].sum(-1).topk(2, dim=-1)[1]
        mask = torch.ones(x.shape[0], 4, dtype=torch.bool).scatter(1, kept, False)
        masked = biased.masked_fill(mask.unsqueeze(-1), float("-inf")).flatten(1)
        chosen = torch.topk(masked, K, dim=-1)[1]
        weights = scores.gather(1, chosen)
        return weights / weights.sum(-1, keepdim=True) * 2.5, chosen


class GroupsAndShared(CountsInPython):
    """Groups of experts, and an expert for all tokens that is added."""

    recipe = "sigmoid + bias, 2 of 4 groups by top2_sum, top 2, sum to one, scale 2.5"
    options = {
        "score": "sigmoid", "groups": (4, 2, "top2_sum"), "normalize": "sum",
        "scale": 2.5,
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.gate: Any = Routed()
        self.shared = GatedExpert()
        self.n_groups, self.topk_groups, self.route_scale = 4, 2, 2.5

    def forward(self, x: Tensor) -> Tensor:
        flat = x.view(-1, H)
        return (self.combine(flat, *self.gate(flat)) + self.shared(flat)).view(x.shape)

    def logits(self, x: Tensor) -> Tensor:
        return F.linear(x, self.gate.weight)

    def rest(self, x: Tensor) -> Tensor:
        return self.shared(x)


class Stacked(nn.Module):
    """One tensor for all experts, and einsum; no module inside."""

    recipe = "softmax, top 2"
    options: dict[str, Any] = {"score": "softmax"}

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Parameter(torch.empty(H, E))
        self.wi = nn.Parameter(torch.empty(E, H, 2 * INNER))
        self.wo = nn.Parameter(torch.empty(E, INNER, H))

    def forward(self, x: Tensor) -> Tensor:
        scores = (x @ self.router).softmax(-1)
        weights, chosen = scores.topk(K)
        gates = torch.zeros_like(scores).scatter(-1, chosen, weights)
        up, gate = torch.einsum("bth,ehi->btei", x, self.wi).chunk(2, -1)
        y = torch.einsum("btei,eih->bteh", F.gelu(gate) * up, self.wo)
        return torch.einsum("bteh,bte->bth", y, gates)

    def logits(self, x: Tensor) -> Tensor:
        return x @ self.router

    def every(self, x: Tensor) -> Tensor:
        both = torch.einsum("bth,ehi->btei", x, self.wi)
        y = F.gelu(both[..., INNER:]) * both[..., :INNER]
        return torch.einsum("btei,eih->bteh", y, self.wo)

    def rest(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class GatheredWeights(nn.Module):
    """The weights of a token's experts are gathered; clamped, interleaved, biases."""

    recipe = "softmax, top 2, softmax of the chosen"
    options: dict[str, Any] = {"score": "softmax", "normalize": "softmax"}
    limit, alpha = 1.5, 1.702

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(H)
        self.gate = nn.Linear(H, E)
        self.mlp1_weight = nn.Parameter(torch.empty(E, 2 * INNER, H))
        self.mlp1_bias = nn.Parameter(torch.empty(E, 2 * INNER))
        self.mlp2_weight = nn.Parameter(torch.empty(E, H, INNER))
        self.mlp2_bias = nn.Parameter(torch.empty(E, H))

    def activation(self, x: Tensor) -> Tensor:
        gate, up = x[..., ::2], x[..., 1::2]
        gate = gate.clamp(max=self.limit)
        up = up.clamp(-self.limit, self.limit)
        return gate * torch.sigmoid(self.alpha * gate) * (up + 1)

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        t = self.norm(x).flatten(0, 1)
        best = torch.topk(self.gate(t), k=K, dim=-1, sorted=True)
        weights, chosen = best.values.softmax(dim=1), best.indices
        y = torch.einsum("beck,bk->bec", self.mlp1_weight[chosen], t)
        y = self.activation(y + self.mlp1_bias[chosen])
        y = torch.einsum("beck,bek->bec", self.mlp2_weight[chosen], y)
        y = y + self.mlp2_bias[chosen]
        return x + torch.einsum("bec,be->bc", y, weights).view(shape)

    def logits(self, x: Tensor) -> Tensor:
        return self.gate(self.norm(x))

    def every(self, x: Tensor) -> Tensor:
        t = self.norm(x)
        y = torch.einsum("bth,eih->btei", t, self.mlp1_weight) + self.mlp1_bias
        y = torch.einsum("btei,ehi->bteh", self.activation(y), self.mlp2_weight)
        return y + self.mlp2_bias

    def rest(self, x: Tensor) -> Tensor:
        return x


class MaskedSoftmax(nn.Module):
    """A softmax over logits that are -inf but for the best; experts without gates."""

    recipe = "softmax, top 2, sum to one"  # which is the same
    options: dict[str, Any] = {"score": "softmax", "normalize": "softmax"}

    def __init__(self) -> None:
        super().__init__()
        self.route_linear = nn.Linear(H, E)
        self.experts = nn.ModuleList(
            nn.Sequential(
                nn.Linear(H, INNER), nn.ReLU(), nn.Linear(INNER, H), nn.Dropout(0.1)
            )
            for _ in range(E)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.route_linear(x)
        best, chosen = logits.topk(K, dim=-1)
        sparse = torch.full_like(logits, float("-inf")).scatter(-1, chosen, best)
        gates = F.softmax(sparse, dim=-1)
        result = torch.zeros_like(x)
        flat, flat_gates = x.view(-1, H), gates.view(-1, E)
        for i, expert in enumerate(self.experts):
            mask = (chosen == i).any(dim=-1).view(-1)
            if mask.any():
                y = expert(flat[mask]) * flat_gates[mask, i].unsqueeze(1)
                result.view(-1, H)[mask] += y
        return result, logits

    def logits(self, x: Tensor) -> Tensor:
        return self.route_linear(x)

    def every(self, x: Tensor) -> Tensor:
        return torch.stack([expert(x) for expert in self.experts], 2)

    def rest(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class BestOne(nn.Module):
    """One expert for a token, by max; parameters in lists, functions only."""

    recipe = "softmax, top 1"
    options: dict[str, Any] = {"score": "softmax"}

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Parameter(torch.empty(E, H))
        self.up = nn.ParameterList(torch.empty(H, INNER) for _ in range(E))
        self.down = nn.ParameterList(torch.empty(INNER, H) for _ in range(E))

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = F.linear(x, self.router).softmax(-1).max(dim=-1)
        y = torch.zeros_like(x)
        for i in range(E):
            mine = chosen == i
            y[mine] = torch.relu(x[mine] @ self.up[i]) @ self.down[i]
        return y * weight.unsqueeze(-1)

    def logits(self, x: Tensor) -> Tensor:
        return F.linear(x, self.router)

    def every(self, x: Tensor) -> Tensor:
        pairs = zip(self.up, self.down, strict=True)
        return torch.stack([torch.relu(x @ a) @ b for a, b in pairs], 2)

    def rest(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class DecoderLayer(WhereAndAdd):
    """Attention, norms and the MoE layer in the forward of one module."""

    recipe = "softmax, top 2, softmax of the chosen"  # which is the same

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(H, 3 * H, bias=False)
        self.norm1, self.norm2 = nn.LayerNorm(H), nn.LayerNorm(H)

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        scores = q @ k.transpose(1, 2) / H**0.5
        return x + scores.softmax(-1) @ v

    def forward(self, x: Tensor) -> Tensor:
        x = self.attend(x)
        flat = self.norm2(x).view(-1, H)
        return x + self.combine(flat, *self.choose(flat)).view_as(x)

    def logits(self, x: Tensor) -> Tensor:
        return self.gate(self.norm2(self.attend(x)))

    def every(self, x: Tensor) -> Tensor:
        return super().every(self.norm2(self.attend(x)))

    def rest(self, x: Tensor) -> Tensor:
        return self.attend(x)


LAYERS: list[type[Any]] = [
    WhereAndAdd, CountsInPython, OneHotHits, BooleanMasks, EachPlace, AllExperts,
    SortedRows, GroupsAndShared, Stacked, GatheredWeights, MaskedSoftmax, BestOne,
    DecoderLayer,
]  # fmt: skip


def made(layer: type[Any], dtype: torch.dtype = torch.float32) -> Any:
    """A layer with random weights, in evaluation mode."""
    generator = torch.Generator().manual_seed(3)
    module = layer()
    with torch.no_grad():
        for path, value in module.named_parameters():
            noise = torch.randn(value.shape, generator=generator) * 0.4
            value.copy_(1 + 0.2 * noise if "norm" in path else noise)
    return module.to(dtype).eval()


class Model(nn.Module):
    """Two layers in a larger model, whose tokens are embedded and normalised."""

    def __init__(self, layer: type[Any]) -> None:
        super().__init__()
        self.first = nn.Linear(H, H)
        self.layers = nn.ModuleList([made(layer), made(layer)])
        with torch.no_grad():
            for value in self.layers[1].parameters():
                value.mul_(0.7)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for layer in self.layers:
            y = layer(x)
            x = x + (y[0] if isinstance(y, tuple) else y)
        return x


def gates_of(layer: Any, x: Tensor, scope: str) -> Tensor:
    """``[S, T, E]`` by the oracle."""
    k = 1 if isinstance(layer, BestOne) else K
    bias = layer.gate.bias.detach().numpy() if "bias" in layer.recipe else None
    plan = oracle.route(
        layer.logits(x).detach().float().numpy(),
        k,
        scope=scope,
        choice_bias=bias,
        **layer.options,
    )
    dense = torch.zeros(x.shape[0] * x.shape[1], E)
    for e in range(E):
        rows = slice(plan.expert_offsets[e], plan.expert_offsets[e + 1])
        token = torch.from_numpy(plan.row_token[rows]).long()
        dense[token, e] = torch.from_numpy(plan.gates[rows])
    return dense.view(*x.shape[:2], E)


def reference(model: Any, x: Tensor, scope: str) -> Tensor:
    """What the model, or one layer, gives with the oracle's choice."""
    if isinstance(model, Model):
        x = torch.tanh(model.first(x))
        for layer in model.layers:
            x = x + reference(layer, x, scope)
        return x
    gates = gates_of(model, x, scope)
    return model.rest(x) + (model.every(x) * gates[..., None]).sum(2)
