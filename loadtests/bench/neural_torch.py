"""The work of neural.ts in PyTorch on the CPU, for that script alone. Reads lines "<work> <steps>" and answers each with one line of JSON."""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)


def dense_adam(module):
    return torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)


class Stepper:
    """Zeroes gradients, computes the loss, goes back, and lets every optimiser step."""

    def __init__(self, loss, optimisers):
        self.loss, self.optimisers = loss, optimisers

    def __call__(self):
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        for optimiser in self.optimisers:
            optimiser.step()
        return loss.item()


def tower(sizes):
    layers = []
    for before, after in zip(sizes, sizes[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def mlp(s):
    net = tower([s["inputs"], *s["hidden"], 1])
    rows, labels = torch.randn(s["rows"], s["inputs"]), (torch.rand(s["rows"]) < 0.5).float()

    def loss():
        chosen = torch.randint(0, s["rows"], (s["batch"],))
        return F.binary_cross_entropy_with_logits(net(rows[chosen]).squeeze(1), labels[chosen])

    return Stepper(loss, [dense_adam(net)])


def sampled_loss(positives, negatives, is_hit):
    logits = torch.cat([positives, negatives.masked_fill(is_hit, -1e9)], 1)
    return F.cross_entropy(logits, torch.zeros(logits.shape[0], dtype=torch.long))


def two_tower(s):
    table = nn.Embedding(s["items"], s["width"], sparse=True)
    query_net, item_net = (tower([s["width"], *s["hidden"], s["width"]]) for _ in range(2))
    net = nn.ModuleList([query_net, item_net])
    correction = torch.full((1, s["batch"]), -math.log((s["batch"] - 1) / s["items"]))

    def loss():
        history = torch.randint(0, s["items"], (s["batch"], s["history"]))
        target = torch.randint(0, s["items"], (s["batch"],))
        query = 12 * F.normalize(query_net(table(history).mean(1)), dim=1)
        item = F.normalize(item_net(table(target)), dim=1)
        is_hit = target[:, None] == target[None, :]
        return sampled_loss((query * item).sum(1, keepdim=True), query @ item.T + correction, is_hit)

    return Stepper(loss, [dense_adam(net), torch.optim.SparseAdam(table.parameters(), lr=1e-3)])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.mix = (nn.Linear(width, width) for _ in range(4))
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        n, steps, width = x.shape
        y = self.before_attention(x)
        q, k, v = (part(y).view(n, steps, self.heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, steps, width)
        x = x + self.mix(mixed)
        return x + self.narrow(F.relu(self.widen(self.before_network(x))))


class Sasrec(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.scale = math.sqrt(s["width"])
        self.positions = nn.Parameter(0.02 * torch.randn(s["steps"], s["width"]))
        self.blocks = nn.Sequential(*(Block(s["width"], s["heads"]) for _ in range(s["blocks"])))
        self.last = nn.LayerNorm(s["width"])

    def forward(self, x):
        return self.last(self.blocks(x * self.scale + self.positions))


class Recurrent(nn.Module):
    def __init__(self, kind, s):
        super().__init__()
        self.layer = kind(s["width"], s["width"], batch_first=True)

    def forward(self, x):
        return self.layer(x)[0]


def next_item(encoder, s):
    table, bias = nn.Embedding(s["items"], s["width"], sparse=True), nn.Embedding(s["items"], 1, sparse=True)
    nn.init.zeros_(bias.weight)
    state, click = nn.Linear(s["width"], s["width"]), nn.Linear(s["width"], s["width"], bias=False)
    net = nn.ModuleList([encoder, state, click])
    log_expected = math.log(s["negatives"] / s["items"])

    def loss():
        ids = torch.randint(0, s["items"], (s["n"], s["steps"] + 1))
        drawn = torch.randint(0, s["items"], (s["negatives"],))
        rows = F.normalize(table(ids), dim=2)
        inputs = rows[:, :-1]
        query = 12 * F.normalize(state(encoder(inputs)) + click(inputs), dim=2).reshape(-1, s["width"])
        wanted, target = rows[:, 1:].reshape(-1, s["width"]), ids[:, 1:].reshape(-1)
        positives = (query * wanted).sum(1, keepdim=True) + bias(target)
        negatives = torch.addmm(bias(drawn).T - log_expected, query, F.normalize(table(drawn), dim=1).T)
        return sampled_loss(positives, negatives, target[:, None] == drawn[None, :])

    tables = [*table.parameters(), *bias.parameters()]
    return Stepper(loss, [dense_adam(net), torch.optim.SparseAdam(tables, lr=1e-3)])


WORKS = {
    "mlp": mlp,
    "two_tower": two_tower,
    "sasrec": lambda s: next_item(Sasrec(s), s),
    "gru": lambda s: next_item(Recurrent(nn.GRU, s), s),
    "lstm": lambda s: next_item(Recurrent(nn.LSTM, s), s),
}


def main():
    setting = json.loads(sys.stdin.readline())
    torch.set_num_threads(setting["threads"])
    steppers = {name: WORKS[name](size) for name, size in setting["works"].items()}
    for line in sys.stdin:
        name, steps = line.split()
        times, last, cpu = [], 0.0, time.process_time()
        for _ in range(int(steps)):
            start = time.perf_counter()
            last = steppers[name]()
            times.append(1000 * (time.perf_counter() - start))
        print(json.dumps({"times": times, "cpuMs": 1000 * (time.process_time() - cpu), "loss": last, "version": torch.__version__}), flush=True)


main()
