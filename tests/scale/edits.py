"""The product at a scale, and the product with a mutation: exact changes of source text."""

from __future__ import annotations

from tests.proof.edit import Edit


def scaled(scale: int) -> list[Edit]:
    """Return the limits of a tick, for predictions of which one represents `scale`.

    A page represents itself: it costs as much as in full, and 1/k of what a GET does.
    """
    if scale == 1:
        return []

    def limit(module: str, name: str, whole: str, least: int = 1) -> Edit:
        number = max(least, int(whole.replace("_", "")) // scale)
        return Edit(f"services.{module}", "", f"{name} = {whole}", f"{name} = {number}")

    def longer(module: str, name: str, whole: str) -> Edit:
        text = f"{name} = {whole}"
        return Edit(f"services.{module}", "", text, f"{text} * {scale}")

    ask = "self._patience.ask(lambda: self._provider.page(after, before, cursor)"
    return [
        limit("predictions.sweep", "LIMIT", "2_000"),
        limit("predictions.sweep", "SEEN", "6_000"),
        limit("predictions.sweep", "ASKED", "1_200"),
        limit("predictions.listing", "LIST_FROM", "10"),
        Edit("services.predictions.listing", "", "WORTH = 5", f"WORTH = {5 / scale}"),
        # Random variation is larger with fewer predictions.
        Edit("services.predictions.listing", "", "CREDIT = 60", f"CREDIT = {60 / scale**0.5}"),
        limit("predictions.listing", "MOST_OTHERS", "20_000"),
        limit("predictions.listing", "MOST_KEPT", "12_000_000"),
        limit("predictions.look", "LOOKS_AT_ONCE", "50"),
        limit("predictions.look", "SHARE_AT_ONCE", "3"),
        longer("predictions.look", "LOOK_INTERVAL_US", "240_000"),
        longer("predictions.look", "SHARE_INTERVAL_US", "5_000_000"),
        limit("callbacks.owed", "LIMIT", "500"),
        limit("callbacks.owed", "TENANT_FIRST", "50"),
        Edit(
            "services.predictions.listing",
            "Listing._page",
            f"{ask})",
            f"{ask}, counted={1 / scale})",
        ),
    ]
