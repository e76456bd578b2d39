"""The app in examples/nextjs."""

from tests.examples.specification import AnExample


class TestNextJs(AnExample):
    target = "example-nextjs"
