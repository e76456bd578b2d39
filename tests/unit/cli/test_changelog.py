"""What `scrip upgrade` prints of the changelog."""

from scrip import __version__
from scrip_cli.changelog import releases_between
from tests.documentation import ROOT

CHANGELOG = """\
# Changelog

## Unreleased

### Before you update

- Do this
  first:

  ```sh
  date
  ```
- Then that.

### Added

- Something.

## 1.10.0 - 2027-02-01

### Fixed

- A bug.

## 1.9.0 - 2027-01-01

### Changed

- A word.
"""


def test_each_release_after_the_deployed_one_is_described_oldest_first() -> None:
    changed, fixed, unreleased = releases_between(CHANGELOG, "1.8.3", "1.11.0")
    assert (changed.version, changed.sections) == ("1.9.0", {"Changed": ["A word."]})
    assert (fixed.version, fixed.sections) == ("1.10.0", {})
    assert unreleased.version == "1.11.0"
    assert unreleased.sections == {
        "Before you update": ["Do this\nfirst:\n\n```sh\ndate\n```", "Then that."]
    }


def test_releases_that_are_deployed_or_later_than_this_one_are_left_out() -> None:
    assert [one.version for one in releases_between(CHANGELOG, "1.9.0", "1.11.0")] == [
        "1.10.0",
        "1.11.0",
    ]
    assert releases_between(CHANGELOG, "1.11.0", "1.11.0") == []


def test_this_version_says_what_to_do_before_an_update() -> None:
    *_, newest = releases_between((ROOT / "CHANGELOG.md").read_text(), "0.1.0", __version__)
    assert newest.version == __version__
    assert newest.sections["Before you update"]
