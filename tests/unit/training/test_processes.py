"""What one process has of several, and how gradients are packed; tests/host/training/test_processes.py starts two."""

import torch

from zoetrope.training.processes import Processes, buckets, joined_processes


def test_buckets_keep_the_order_and_the_limit():
    tensors = [torch.zeros(size) for size in (2, 3, 9, 1, 4, 1)]
    found = list(buckets(tensors, most=5))
    assert [[tensor.numel() for tensor in bucket] for bucket in found] == [[2, 3], [9], [1, 4], [1]]
    assert all(a is b for a, b in zip((tensor for bucket in found for tensor in bucket), tensors, strict=True))
    assert list(buckets([])) == []


def test_a_process_alone_changes_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes() as alone:
        assert alone == Processes()
        gradient = torch.tensor([1.0, 2.0])
        alone.average([gradient])
        alone.require_same({"seed": "1"})
        assert gradient.tolist() == [1.0, 2.0] and alone.first
        assert (alone.mean(0.1), alone.largest(2)) == (0.1, 2)
