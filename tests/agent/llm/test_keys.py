"""agent/llm/keys.py: a key goes to this machine and to hosts that its person named or agreed to, and to nobody else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import agent.llm.keys
from agent.llm.client import Llm
from agent.llm.keys import key_for, origin, settle
from prompts.errors import InputError
from tests.agent.llm.speaking import HELLO, speaking

KEY = "sk-very-secret"
THEIRS = "https://models.example.org/v1"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own settings, a key, and nothing agreed to yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(agent.llm.keys, "_HERE", set())
    return tmp_path / "settings" / "palate" / "key_hosts"


def terminal(monkeypatch: pytest.MonkeyPatch, says: str) -> io.StringIO:
    """Somebody who types `says`."""
    told = io.StringIO()
    told.isatty = lambda: True  # type: ignore[method-assign]
    typed = io.StringIO(says)
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)
    monkeypatch.setattr("sys.stderr", told)
    return told


def test_a_host_that_only_a_config_names_gets_no_key_and_the_next_step_is_told(settings: Path) -> None:
    for ask in (lambda: settle(THEIRS, named=False), lambda: key_for(THEIRS), lambda: Llm(THEIRS, "m")):
        with pytest.raises(InputError, match=r"palate doctor --llm-url https://models\.example\.org/v1") as caught:
            ask()
        assert KEY not in str(caught.value) and "OPENAI_API_KEY" in str(caught.value)
    assert not settings.exists()


def test_a_host_that_the_person_named_gets_it_from_then_on(settings: Path) -> None:
    settle(THEIRS, named=True)
    assert key_for(THEIRS) == KEY and key_for("https://models.example.org:443/other") == KEY
    settle(THEIRS, named=False)
    assert KEY not in settings.read_text() and settings.read_text().count("\n") == 1


@pytest.mark.parametrize("other", ["http://models.example.org/v1", "https://models.example.org:8443/v1", "https://example.org/v1", "https://models.example.org.evil.net/v1"])  # fmt: skip
def test_a_yes_is_for_one_host_and_port_and_way_of_speaking(other: str) -> None:
    settle(THEIRS, named=True)
    with pytest.raises(InputError):
        key_for(other)


def test_another_key_is_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settle(THEIRS, named=True)
    monkeypatch.setenv("PALATE_LLM_KEY", "another")
    with pytest.raises(InputError, match="PALATE_LLM_KEY"):
        key_for(THEIRS)


def test_a_person_at_a_terminal_is_asked_once(monkeypatch: pytest.MonkeyPatch, settings: Path) -> None:
    told = terminal(monkeypatch, "n\n")
    with pytest.raises(InputError):
        settle(THEIRS, named=False)
    assert "https://models.example.org:443" in told.getvalue() and KEY not in told.getvalue()
    terminal(monkeypatch, "y\n")
    settle(THEIRS, named=False)
    told = terminal(monkeypatch, "")
    settle(THEIRS, named=False)
    assert told.getvalue() == "" and key_for(THEIRS) == KEY


def test_this_machine_gets_it_and_without_a_key_anybody_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    settle("http://127.0.0.1:8000/v1", named=False)
    assert key_for("http://localhost:8000/v1") == KEY
    monkeypatch.delenv("OPENAI_API_KEY")
    settle(THEIRS, named=False)
    assert key_for(THEIRS) is None


def test_a_home_that_cannot_be_written_keeps_a_yes_for_this_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # fmt: skip
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    settle(THEIRS, named=True)
    assert key_for(THEIRS) == KEY


@pytest.mark.parametrize(
    "url",
    ["http://a@evil.org/v1", "http://127.0.0.1\\@evil.org/", "http://evil.org\t.org/", "ftp://evil.org/", "http://", "", "http://a:99999/",
     "http://evil.org/\r\nX: y", "//127.0.0.1/v1", "http://ex ample.org/", "http://\u202eevil.org/"],
)  # fmt: skip
def test_an_address_that_two_readers_could_read_in_two_ways_is_none(url: str) -> None:
    with pytest.raises(InputError, match="address"):
        origin(url)


@pytest.mark.parametrize("key", ["sk one", "sk-\n1", "sk-\u00e9", "sk\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_a_letter_of_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:  # fmt: skip
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    with pytest.raises(InputError, match="OPENAI_API_KEY") as caught:
        key_for("http://127.0.0.1:1/v1")
    assert key not in str(caught.value)


def test_a_key_that_was_given_by_hand_goes_where_it_was_given_and_no_key_is_no_header(monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.delenv("OPENAI_API_KEY")
    with speaking(lambda _: [HELLO]) as heard:
        Llm(heard.url, "m").chat([])
        Llm(heard.url, "m", api_key="mine").chat([])
    assert "authorization" not in heard.requests[0].lower() and "Bearer mine" in heard.requests[1]
    assert Llm(THEIRS, "m", api_key="mine").base_url == THEIRS


def test_what_the_environment_says_of_an_account_is_not_told_to_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-mine: very-secret")
    with speaking(lambda _: [HELLO]) as heard:
        Llm(heard.url, "m", api_key="mine").chat([])
    assert "secret" not in heard.requests[0] and "x-stainless" not in heard.requests[0].lower()
