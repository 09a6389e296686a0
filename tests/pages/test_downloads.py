"""What can be downloaded of a run."""

from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT


def a_page_with_downloads(language: str) -> None:
    """A script that shows the downloads of a run; run by the test runner."""
    import streamlit as st

    from twolayer import Config
    from twolayer.dashboard.common.history import Entry
    from twolayer.dashboard.train import downloads
    from twolayer.engine.run import Run

    st.session_state["lang"] = language
    downloads.show(Entry(Run("a", Config(H=50)), 3, "Run 3"))


def shown(language: str) -> AppTest:
    page = AppTest.from_function(a_page_with_downloads, args=(language,), default_timeout=30).run()
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
