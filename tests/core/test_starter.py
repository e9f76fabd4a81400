"""The model that ships, beside its own weights in PyTorch."""

import hashlib

import pytest
from tests.parity import compare
from tests.reference import STARTER_FOLDER, reference_predictor
from tests.reference import starter_model as build_starter

SIZES = ((64, 64), (300, 451), (700, 512))


@pytest.fixture(scope="module")
def starter_reference():
    return reference_predictor(build_starter())


def test_it_was_made_from_the_checkpoint_of_the_repository(starter_model):
    checkpoint = (STARTER_FOLDER / "checkpoint.pt").read_bytes()
    assert starter_model.info.source.sha256 == hashlib.sha256(checkpoint).hexdigest()
    assert len(checkpoint) <= 12e6


def test_it_agrees_with_pytorch(starter_reference, starter_model):
    results = list(
        compare(starter_reference, starter_model, seed=6, image_sizes=SIZES, sets_per_image=12)
    )
    assert len(results) == 36
    assert [result for result in results if not (result.passed or result.tie)] == []
