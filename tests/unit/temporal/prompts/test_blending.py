"""Common lengths that dilute nothing, and the vectors between two prompts."""

import math

import pytest
import torch
from torch.nn.functional import normalize, scaled_dot_product_attention

from zoetrope.temporal.prompts.blending import BLENDS, linear, same_length, slerp


def prompt(tokens, seed, width=6):
    return torch.randn((1, tokens, width), generator=torch.Generator().manual_seed(seed))


def test_attention_over_prompts_of_one_length_is_that_over_the_prompts():
    short, long = prompt(4, 0), prompt(6, 1)
    queries = prompt(5, 2)
    for before, after in zip((short, long), same_length([short, long]), strict=True):
        assert after.shape == (1, 12, 6)
        expected = scaled_dot_product_attention(queries, before, before)
        torch.testing.assert_close(scaled_dot_product_attention(queries, after, after), expected)
        torch.testing.assert_close(after[:, : before.shape[1]], before, rtol=0, atol=0)


def test_absurd_lengths_are_refused_in_words():
    assert {p.shape[1] for p in same_length([prompt(t, t) for t in (77, 154, 231)])} == {462}
    with pytest.raises(ValueError, match=r"are 37, 41 tokens long, which only fit together at 1517 tokens; shorten"):
        same_length([prompt(37, 0), prompt(41, 1)])


@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS)
def test_ends_are_the_prompts(blend):
    a, b = prompt(8, 0), prompt(8, 1)
    torch.testing.assert_close(blend(a, b, 0.0), a)
    torch.testing.assert_close(blend(a, b, 1.0), b)
    assert blend(a.half(), b.half(), 0.3).dtype == torch.float16


def test_linear_is_linear():
    a, b = prompt(8, 0), prompt(8, 1)
    torch.testing.assert_close(linear(a, b, 0.25), a * 0.75 + b * 0.25)


def test_slerp_turns_every_token_evenly_and_keeps_its_length():
    """In a plane the angle goes over linearly, and so do the lengths, token by token."""
    for share in (0.25, 0.5, 0.9):
        starts, turns, lengths = (0.3, -2.0, 1.0), (1.2, 2.9, 1e-5), ((2.0, 2.0), (1.0, 3.0), (1.0, 1.0))

        def at(u, starts=starts, turns=turns, lengths=lengths):
            angles = [start + u * turn for start, turn in zip(starts, turns, strict=True)]
            radii = [low + u * (high - low) for low, high in lengths]
            return torch.tensor(
                [[[r * math.cos(a), r * math.sin(a)] for a, r in zip(angles, radii, strict=True)]], dtype=torch.float32
            )

        torch.testing.assert_close(slerp(at(0), at(1), share), at(share), rtol=1e-4, atol=1e-5)
    mixed = linear(at(0), at(1), 0.5)
    assert not torch.allclose(slerp(at(0), at(1), 0.5), mixed, atol=0.1)


def test_slerp_of_zero_equal_and_opposite_vectors_is_the_line():
    a = torch.stack([torch.zeros(4), torch.ones(4), normalize(torch.arange(1.0, 5.0), dim=0)])[None]
    b = torch.stack([torch.ones(4), torch.ones(4), -a[0, 2]])[None]
    torch.testing.assert_close(slerp(a, b, 0.5), (a + b) / 2, rtol=0, atol=1e-6)
