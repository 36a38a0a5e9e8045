"""The first screen of the README, in a training loop: `python examples/quickstart_torch.py`."""

import torch

from focal_torch import SigmoidFocalLoss

focal = SigmoidFocalLoss(alpha=0.25, gamma=2.0, reduction="mean")


def loss_fn(model, x, y):
    return focal(model(x), y)


# One class is rare: only what is above 4 of the numbers from −5 to 5.
x = torch.arange(-50, 51)[:, None] / 10
y = (x > 4).int()
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
for step in range(200):
    loss = loss_fn(model, x, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss:.4f}")
