"""What several tests share."""

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread():
    """Tiny networks run faster on one thread, on a busy machine several times."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
