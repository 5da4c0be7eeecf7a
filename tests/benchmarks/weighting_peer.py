"""The peer of the weighting bench: a PyTorch loop over steps, gradients by autograd, MGDA by TorchJD, the rest written plainly."""

import torch
from torchjd.aggregation import MGDAWeighting


def _equal(losses, gram, memory):
    return torch.ones_like(losses)


def _inverse_loss(losses, gram, memory):
    return 1 / losses


def _inverse_gradient_norm(losses, gram, memory):
    return torch.diagonal(gram) ** -0.5


def _loss_balanced(losses, gram, memory):
    start = memory.setdefault("start", losses)
    return (losses / start) ** 0.5


def _dynamic_weight_average(losses, gram, memory):
    seen = memory.setdefault("seen", [])
    rho = seen[-1] / seen[-2] if len(seen) > 1 else torch.ones_like(losses)
    seen.append(losses)
    return len(losses) * torch.softmax(rho / 2, 0)


def _mgda(losses, gram, memory):
    return MGDAWeighting(epsilon=1e-10, max_iters=100)(gram)


SCHEMES = {
    "equal": _equal,
    "inverse-loss": _inverse_loss,
    "inverse-gradient-norm": _inverse_gradient_norm,
    "loss-balanced": _loss_balanced,
    "dynamic-weight-average": _dynamic_weight_average,
    "mgda": _mgda,
}


def train(scheme, gram, cross, energy, shared, heads, n_steps, rate):
    """Shared layer, heads and last weights after n_steps of gradient descent on sum_k w_k L_k, from moments over n."""
    gram, cross, energy, shared, heads = (torch.tensor(array) for array in (gram, cross, energy, shared, heads))
    shared.requires_grad_()
    heads.requires_grad_()
    memory = {}
    for _ in range(n_steps):
        parameters = heads @ shared.T
        losses = torch.einsum("kd,kde,ke->k", parameters, gram, parameters) - 2 * (cross * parameters).sum(1) + energy
        rows = torch.stack([torch.autograd.grad(loss, shared, retain_graph=True)[0].flatten() for loss in losses])
        weights = SCHEMES[scheme](losses.detach(), rows @ rows.T, memory)
        weights = weights * len(weights) / weights.sum()
        of_heads = torch.autograd.grad((weights * losses).sum(), heads)[0]
        with torch.no_grad():
            shared -= rate * (weights @ rows).reshape(shared.shape)
            heads -= rate * of_heads
    return shared.detach().numpy(), heads.detach().numpy(), weights.numpy()
