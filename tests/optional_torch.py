"""What docs/coming_from/pytorch.md says, by PyTorch itself: `make torch` runs this."""

import numpy as np
import pytest

from robustreg import SmoothL1Regressor
from robustreg.losses import make_loss

N, P, K, DECAY = 200, 3, 4, 0.01

# Name of the loss and its options, learning rate; name and beta here, alpha.
LOSSES = {
    "smooth": ("SmoothL1Loss", {"beta": 0.5}, 2.0, "smooth_l1", 0.5, DECAY * K),
    "huber": ("HuberLoss", {"delta": 0.5}, 3.0, "huber", 0.5, DECAY * K),
    "squares": ("MSELoss", {}, 0.8, "l2", 1.0, DECAY * K / 2),
    "sum": (
        "SmoothL1Loss",
        {"beta": 0.5, "reduction": "sum"},
        0.004,
        "smooth_l1",
        0.5,
        DECAY / N,
    ),
}


def trained(loss, rate, X, Y):
    """Return a linear layer after as many full-batch steps as it takes."""
    import torch

    layer = torch.nn.Linear(P, K, dtype=torch.float64)
    groups = [
        {"params": [layer.weight], "weight_decay": DECAY},
        {"params": [layer.bias], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(groups, lr=rate)
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    # Layers so small gain nothing by a second thread.
    torch.set_num_threads(1)
    for _ in range(1500):
        optimiser.zero_grad()
        loss(layer(x), y).backward()
        optimiser.step()
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


@pytest.mark.parametrize("case", LOSSES)
def test_a_linear_layer_ends_at_our_fit(case):
    import torch

    name, options, rate, loss, beta, alpha = LOSSES[case]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, P))
    Y = X @ rng.normal(size=(P, K)) + 0.5 * rng.standard_t(3, size=(N, K))
    Y[:20] += 10
    weight, bias = trained(getattr(torch.nn, name)(**options), rate, X, Y)
    model = SmoothL1Regressor(loss, beta=beta, penalty="l2", alpha=alpha).fit(X, Y)
    np.testing.assert_allclose(model.coef_, weight, rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, bias, rtol=0, atol=1e-8)


@pytest.mark.parametrize("case", LOSSES)
def test_losses_are_the_same_numbers(case):
    import torch

    name, options, _, loss, beta, _ = LOSSES[case]
    residual = torch.linspace(-3, 3, 101, dtype=torch.float64)
    function = getattr(torch.nn, name)(**{**options, "reduction": "none"})
    theirs = function(residual, torch.zeros_like(residual)).numpy()
    times = 2.0 if name == "MSELoss" else 1.0
    own = times * make_loss(loss, beta=beta).value(residual.numpy())
    np.testing.assert_allclose(theirs, own, rtol=0, atol=1e-14)
