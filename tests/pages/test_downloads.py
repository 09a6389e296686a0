"""What can be downloaded of a run."""

from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from twolayer.export import files


def a_page_with_downloads(language: str, steps: int = 0) -> None:
    """A script that shows the downloads of a run; run by the test runner."""
    import numpy as np
    import streamlit as st

    from twolayer import Config
    from twolayer.dashboard.common.history import Entry
    from twolayer.dashboard.train import downloads
    from twolayer.engine.run import Run
    from twolayer.training.training import Chunk

    st.session_state["lang"] = language
    run = Run("a", Config(H=50, steps=max(1, steps)))
    if steps:
        run.receive(Chunk(steps, {}, np.ones(steps), np.array([[steps, 1.0]])))
    downloads.show(Entry(run, 3, "Run 3"))


def shown(language: str, steps: int = 0) -> AppTest:
    page = AppTest.from_function(a_page_with_downloads, args=(language, steps), default_timeout=300).run()
    assert not page.exception
    return page


def test_weights_come_with_what_pytorch_wants_of_them() -> None:
    page = shown("en")
    labels = [button.label for button in page.get("download_button")]
    assert labels[3:] == [
        "w1, w2 (.npz)",
        "w1, w2 (.safetensors)",
        "Network (.onnx)",
        "state_dict (.safetensors)",
    ]
    assert any(
        "transpose w1 and w2" in caption.value and "bias=False" in caption.value for caption in page.caption
    )
    assert 'load_file("run-3-state_dict.safetensors")' in page.code[0].value
    assert "torch.nn.Linear(1000, 50, bias=False, dtype=torch.float32)" in page.code[0].value
    assert any("전치" in caption.value for caption in shown("ko").caption)


def test_the_app_is_installed_with_the_library_of_that_format() -> None:
    assert "safetensors==" in (ROOT / "requirements.txt").read_text()


def test_a_long_run_is_offered_in_parquet_and_the_page_says_why() -> None:
    def labels(page: AppTest) -> list[str]:
        return [button.label for button in page.get("download_button")]

    usual, long = shown("en", files.MOST_TEXT_STEPS), shown("en", files.MOST_TEXT_STEPS + 1)
    assert labels(usual)[:3] == [
        "Losses and timings (CSV)",
        "Losses and timings (Parquet)",
        "Complete run (JSON)",
    ]
    assert labels(long)[:2] == ["Losses and timings (Parquet)", "Run without losses (JSON)"]
    assert not any("Parquet" in caption.value for caption in usual.caption)
    assert any("500,000 steps" in caption.value for caption in long.caption)
    in_korean = shown("ko", files.MOST_TEXT_STEPS + 1)
    assert any("500,000" in caption.value and "Parquet" in caption.value for caption in in_korean.caption)
