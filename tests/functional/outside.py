"""Scrip's outputs, simulated: the archive's bucket, and an event bus with a subscriber."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from functions.events.bus import Bus, open_bus
from scrip.store.archive import Archive, open_archive

if TYPE_CHECKING:
    import pytest
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef


@dataclass
class Outside:
    """The bucket, the bus, and every event that the bus accepted: its name and its detail."""

    archive: Archive
    bus: Bus
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def archived(self) -> list[str]:
        """Return the keys of the archive's objects."""
        listed = self.archive.client.list_objects_v2(Bucket=self.archive.bucket)
        return [item["Key"] for item in listed.get("Contents", [])]

    def subscribe(self) -> None:
        """Record the events that the bus accepts from now on."""
        sent: list[dict[str, Any]] = []

        def send(params: dict[str, Any], **_: Any) -> None:
            sent[:] = params["Entries"]

        def record(parsed: dict[str, Any], **_: Any) -> None:
            for entry, result in zip(sent, parsed.get("Entries", ()), strict=False):
                assert (entry["Source"], entry["EventBusName"]) == ("scrip", self.bus.name)
                if "EventId" in result:
                    self.received.append((entry["DetailType"], json.loads(entry["Detail"])))

        events = self.bus.client.meta.events
        events.register("provide-client-params.events.PutEvents", send)
        events.register("after-call.events.PutEvents", record)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Empty both and let the functions use these clients; making new ones is slow."""
        self.received.clear()
        if keys := self.archived():
            objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys]
            self.archive.client.delete_objects(
                Bucket=self.archive.bucket,
                Delete={"Objects": objects},
            )
        monkeypatch.setattr("functions.admin.handler.archive", lambda: self.archive)
        monkeypatch.setattr("functions.events.handler.archive", lambda: self.archive)
        monkeypatch.setattr("functions.events.handler.bus", lambda: self.bus)


def make_outside() -> Outside:
    """Make the bucket and the bus."""
    outside = Outside(open_archive("scrip-archive"), open_bus("scrip"))
    outside.archive.client.create_bucket(
        Bucket=outside.archive.bucket,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    outside.bus.client.create_event_bus(Name=outside.bus.name)
    outside.subscribe()
    return outside
