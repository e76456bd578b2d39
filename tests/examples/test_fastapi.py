"""The app in examples/fastapi."""

from tests.examples.specification import AnExample


class TestFastAPI(AnExample):
    target = "example-fastapi"
