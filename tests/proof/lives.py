"""Life cycles of predictions, each a path through the product; faults are added to every I/O of
them."""

from __future__ import annotations

BIND_AND_STORE = (
    "submit.0 go.0 hook.0 relay.0 relay.0 relay.0 run.c.0 ok.0 hook.0 relay.0 run.p.0 relay.0 "
    "run.c.0 relay.0"
)

LIVES: dict[str, str] = {
    "stored": BIND_AND_STORE,
    "canceled after its end": BIND_AND_STORE + " cancel.0",
    "handed on, killed at the mark": (
        "submit.0 relay.0 relay.0 bad.0 hook.0 relay.0~kill-after@store.mark_effects_done expire.0"
    ),
    "comes after its end": (
        "submit.2~late@provider.create relay.0 next sweep next sweep relay.0 relay.0 relay.0 "
        "relay.0 relay.0 next run.d.0 ok.0 hook.0 relay.0 relay.0 relay.0 relay.0 relay.0 relay.0 "
        "run.p.0 relay.0 relay.0 run.d.0 late.0 go.1 hook.0 relay.0 run.d.0"
    ),
    "polled": (
        "submit.0 relay.0 relay.0 go.0 ok.0 lose.0 lose.0 next sweep relay.0 run.p.0 relay.0 "
        "run.c.0 relay.0"
    ),
    "failed": "submit.1 relay.0 go.0 bad.0 hook.0 hook.0 relay.0 relay.0 run.c.0 relay.0",
    "canceled": (
        "submit.0 relay.0 go.0 hook.0 relay.0 cancel.0 relay.0 run.d.0 hook.0 relay.0 run.c.0"
    ),
    "canceled by the sweep": (
        "submit.0 relay.0 relay.0 go.0 hook.0 cancel.0~error@provider.cancel expire.0 "
        "expire.0 next sweep relay.0"
    ),
    "refused": (
        "submit.0~429@provider.create relay.0 relay.0 next run.d.0 relay.0 relay.0 go.0 ok.0 "
        "hook.0 hook.0 relay.0 relay.0 run.p.0"
    ),
    "refused as forbidden": (
        "submit.0~403@provider.create expire.0 expire.0 next sweep "
        "run.d.0~403@provider.create relay.0 next sweep run.d.0 relay.0 go.0 ok.0 hook.0 hook.0"
    ),
    "refused and forgotten": (
        "submit.0~429@provider.create expire.0 expire.0 next sweep run.d.0 relay.0 relay.0"
    ),
    "refused until the deadline": (
        "submit.0~401@provider.create expire.0 expire.0 jump.3660 sweep relay.0 run.c.0"
    ),
    "unknown, found": (
        "submit.0~drop@provider.create relay.0 next sweep relay.0 go.0 ok.0 hook.0 hook.0 "
        "relay.0 run.p.0 relay.0"
    ),
    "unknown, never was": (
        "submit.2~hang@provider.create relay.0 next sweep next sweep relay.0 relay.0 relay.0 "
        "relay.0 relay.0 next run.d.0 relay.0 relay.0 go.0 ok.0 hook.0 hook.0"
    ),
    "unknown, comes late": (
        "submit.2~late@provider.create relay.0 next sweep next sweep relay.0 relay.0 relay.0 "
        "relay.0 relay.0 next run.d.0 late.0 go.1 hook.0 relay.0 relay.0 relay.0 run.d.0 "
        "ok.0 hook.0"
    ),
    "killed after the create": (
        "submit.0~kill-after@provider.create relay.0 next sweep relay.0 go.0 ok.0 hook.0"
    ),
    "alike": (
        "submit.0~drop@provider.create submit.1 relay.0 relay.1 next sweep relay.0 go.0 go.1 "
        "hook.0 hook.0 ok.0 ok.1 hook.0 hook.0"
    ),
    "alike, one never was": (
        "submit.0~hang@provider.create submit.1 lose.0 next sweep next sweep go.0 ok.0"
    ),
    "the client fails": (
        "submit.1 relay.0 bad.0 hook.0 relay.0 relay.0 run.c.0~status500@sender.post relay.0 "
        "next run.c.0 next run.c.0"
    ),
    "the client is gone": (
        "submit.1 relay.0 bad.0 hook.0 relay.0 relay.0 run.c.0~status410@sender.post redeliver.0 "
        "run.c.0~status410@sender.post redeliver.0 run.c.0~status410@sender.post redeliver.0 "
        "run.c.0"
    ),
    "a callback's message is late": (
        "submit.1 relay.0 bad.0 hook.0 relay.0 relay.0 jump.135 sweep run.c.0 run.c.0"
    ),
    "canceled by the queue": (
        "submit.0 relay.0 relay.0 go.0 hook.0 relay.0 cancel.0~error@provider.cancel relay.0 "
        "relay.0 run.d.0 hook.0"
    ),
    "a webhook binds": "submit.1~drop@provider.create go.0 hook.0 relay.0 relay.0",
    "asked for again": BIND_AND_STORE + " redeliver.0 run.c.0 redeliver.0 next sweep run.c.0",
    "asked for while it fails": (
        "submit.1 relay.0 bad.0 hook.0 relay.0 relay.0 run.c.0~status500@sender.post redeliver.0 "
        "run.c.0"
    ),
    "asked by an event": (
        "ask.6 run.i.0 relay.0 go.0 hook.0 relay.0 relay.0 run.t.0 ok.0 hook.0 relay.0 run.p.0 "
        "relay.0 run.t.0 run.t.0 run.t.0"
    ),
    "asked and failed": "ask.6 run.i.0 bad.0 hook.0 relay.0 relay.0 relay.0 run.t.0 run.t.0",
    "asked in vain": "ask.7 run.i.0",
    "asked twice by an event": "ask.6 ask.6 run.i.0 run.i.0 relay.0 ok.0 hook.0",
    "repeated by its library": (
        "submit.2~kill-after@provider.create retry.2 relay.0 go.0 retry.2 hook.0 jump.135 retry.2"
    ),
    "rotated in the middle": (
        "submit.1 rotate.0 go.0 hook.0 rotate.1 relay.0 rotate.2 relay.0 rotate.3 ok.0 hook.0 "
        "relay.0 run.p.0 relay.0 submit.2 go.1 hook.0 relay.1"
    ),
    "asked twice": "submit.0 again.0 relay.0 go.0 again.0 hook.0",
    "canceled while unknown": (
        "submit.0~drop@provider.create cancel.0 relay.0 relay.0 next sweep relay.0 run.d.0"
    ),
    "stray webhooks": (
        "submit.0 forge.0 unlinked.0 go.0 hook.0 stray.0 ok.0 hook.0 stray.0 run.p.0 relay.0"
    ),
    "sweep of storing": (
        "submit.0 expire.0 expire.0 ok.0 hook.0 expire.0 next sweep run.p.0 relay.0"
    ),
    "sweep of an end": (
        "submit.0 expire.0 expire.0 bad.0 hook.0 expire.0 next sweep run.c.0 sweep"
    ),
    "sweep of a task": (
        "ask.6 run.i.0 expire.0 expire.0 bad.0 hook.0 expire.0 next sweep run.t.0 sweep"
    ),
    "outage of 45 minutes": (
        "submit.0 relay.0 relay.0 go.0 lose.0 ok.0 lose.0 jump.2700 sweep relay.0 relay.0 "
        "relay.0 relay.0 run.p.0 relay.0 relay.0 run.c.0"
    ),
    "copied in two runs": (
        "submit.0 ok.0 hook.0 relay.0 relay.0 relay.0 run.p.0~kill-after@outputs.write_once "
        "jump.135 sweep run.p.0 relay.0"
    ),
    "expired": "submit.0 relay.0 relay.0 ok.0 lose.0 jump.3660 sweep relay.0 run.c.0",
    "copied late": (
        "submit.0 ok.0 hook.0 relay.0 relay.0 relay.0 jump.135 "
        "run.p.0~error@fetcher.open~error@fetcher.open#2 relay.0 next run.p.0 relay.0"
    ),
    "copied too late": "submit.0 ok.0 hook.0 relay.0 relay.0 relay.0 jump.3660 run.p.0 relay.0",
    "two at once": (
        "submit.0 submit.1 go.1 go.0 ok.0 ok.1 hook.3 hook.1 hook.0 hook.0 relay.1 relay.0 "
        "relay.0 relay.1 relay.0 relay.1 run.p.1 run.p.0"
    ),
}

MONEY: dict[str, str] = {
    "no room": "submit.0 submit.2 relay.0 go.0 submit.1 bad.0 hook.0 submit.2 submit.2 submit.2",
    "room again": "submit.1~401@provider.create submit.2 cancel.0 submit.2 submit.2",
    "asked too often": "submit.1 submit.2 submit.2 submit.2 ask.6 run.i.0 next run.i.0",
    "an extra after its end": LIVES["comes after its end"],
}
"""Paths of a tenant with a low cap."""

CACHED: dict[str, str] = {
    "taken from the cache": BIND_AND_STORE + " submit.1 relay.1 relay.1 run.c.0 relay.1",
    "taken by an event": BIND_AND_STORE + " ask.6 run.i.0 relay.1 run.t.0 run.t.0 run.t.0",
    "repeated with its key": BIND_AND_STORE + " again.0 again.0",
    "another tenant's": BIND_AND_STORE + " submit.5 relay.1 go.1 ok.1 hook.0 hook.0 relay.1",
}
"""Paths with a result cache."""

ODD: dict[str, str] = {
    "grows": (
        "submit.0 relay.0 relay.0 go.0 hook.0 relay.0 run.c.0 grow.0 hook.0 relay.0 run.c.0 "
        "jump.1 grow.0 hook.0 relay.0 run.c.0 ok.0 hook.0 relay.0 run.p.0 relay.0 run.c.0"
    ),
    "told too late": (
        "submit.0 relay.0 relay.0 go.0 hook.0 relay.0 bad.0 hook.0 relay.0 relay.0 run.c.1 run.c.0"
    ),
    "the list grows old": (
        "submit.0~hang@provider.create submit.2~late@provider.create jump.120 "
        "sweep~nest=late.0@store.commit~slow@store.claim#2 relay.1 relay.1 relay.1 relay.1 "
        "run.d.0 jump.60 sweep run.d.0"
    ),
    "runs for hours": (
        "submit.0 relay.0 relay.0 go.0 hook.0 relay.0 jump.3660 sweep next sweep next sweep "
        "jump.7200 sweep"
    ),
    "nobody hears of it": (
        "submit.0~drop@provider.create relay.0 go.0 lose.0 next sweep next sweep next sweep "
        "ok.0 lose.0 sweep next sweep relay.0"
    ),
    "cut off unheard": "submit.0~drop@provider.create relay.0 jump.3660 lose.0 sweep next sweep",
}
"""Paths in which the provider shows values in another form, late or not at all."""

RARE: dict[str, str] = {
    "files": "submit.3 relay.0 relay.0 go.0 ok.0 hook.0",
    "files, unknown": "submit.3~drop@provider.create relay.0 next sweep",
    "ten polls": (
        "submit.0 relay.0 submit.1 relay.1 submit.2 submit.2 submit.2 submit.2 submit.2 "
        "submit.2 submit.2 submit.2 jump.135 sweep"
    ),
    "asked with files": "ask.8 run.i.0 relay.0",
    "asked, open model": "ask.9 run.i.0",
    "open model": "submit.4 relay.0 relay.0 submit.4 submit.10",
}
"""Paths that need no second fault."""
